import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as Manifest

describe('what a release installs', () => {
  test("has the binaries of LMDB's package in the version of its bundled code", () => {
    const versions = Object.entries(manifest.optionalDependencies)
    expect(versions.length).toBeGreaterThan(0)
    for (const [name, version] of versions) {
      expect(name).toMatch(/^@lmdb\/lmdb-/)
      expect(version).toBe(manifest.devDependencies['lmdb'])
    }
  })
})

interface Manifest {
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}
