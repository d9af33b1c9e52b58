import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { releaseNotes } from '../../scripts/release/changelog.ts'

const root = path.resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const manifest = JSON.parse(read('package.json')) as Manifest
const workflowFile = '.github/workflows/release.yml'

test("LMDB's binaries have the version of its bundled code", () => {
  const versions = Object.entries(manifest.optionalDependencies)
  expect(versions.length).toBeGreaterThan(0)
  for (const [name, version] of versions) {
    expect(name).toMatch(/^@lmdb\/lmdb-/)
    expect(version).toBe(manifest.devDependencies['lmdb'])
  }
})

describe('the version and the changelog', () => {
  test('of this repository agree', () => {
    expect(releaseNotes(read('CHANGELOG.md'), manifest.version).notes).toContain('### Added')
  })

  const unreleased = '# Changelog\n\n## Unreleased\n\n- new\n'
  const released = `${unreleased}\n## 1.1.0 - 2026-12-01\n\n- later\n\n## 1.0.0 - 2026-11-01\n\n- first\n`
  test.for([
    ['before the first release', unreleased, '0.1.0', undefined, ['- new', false]],
    ['of a release', released, '1.1.0', 'v1.1.0', ['- later', true]],
    ['after it', released, '1.1.0', undefined, ['- later', true]],
    ['of the next one', released, '1.2.0', undefined, ['- new', false]],
  ] as const)('give the notes %s', ([, text, version, tag, [notes, isReleased]]) => {
    expect(releaseNotes(text, version, tag)).toEqual({ notes, isReleased })
  })

  test.for([
    ['a tag of another version', released, '1.1.0', 'v1.0.0', 'is not v1.1.0'],
    ['a release without notes', unreleased, '0.1.0', 'v0.1.0', 'has no section of 0.1.0'],
    ['an older version', released, '1.0.0', undefined, 'has 1.1.0, package.json 1.0.0'],
    ['an empty section', '## Unreleased\n', '0.1.0', undefined, 'nothing under Unreleased'],
    ['no section for what comes', '## 1.0.0 - 2026-11-01\n', '1.0.0', undefined, 'Unreleased'],
    ['another form of title', '## v1.0\n', '1.0.0', undefined, 'is not like'],
    [
      'dates in another order',
      '## Unreleased\n## 1.1.0 - 2026-01-01\n\n- a\n\n## 1.0.0 - 2026-02-02\n\n- b\n',
      '1.1.0',
      undefined,
      '1.1.0 is older than 1.0.0',
    ],
  ] as const)('refuse %s', ([, text, version, tag, reason]) => {
    expect(() => releaseNotes(text, version, tag)).toThrow(reason)
  })
})

describe('the workflow of a release', () => {
  const { permissions, jobs } = parse(read(workflowFile)) as Workflow
  const steps = Object.values(jobs).flatMap((job) => job.steps)

  test('pins each action by its commit, with its version beside it', () => {
    const pins = read(workflowFile).match(/uses: .*/g) ?? []
    expect(pins).toHaveLength(steps.filter(({ uses }) => uses !== undefined).length)
    for (const pin of pins) expect(pin).toMatch(/^uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })

  test('gives each job the permissions that it needs, and tests before it publishes', () => {
    expect(permissions).toEqual({})
    expect(Object.entries(jobs).map(([name, job]) => [name, job.needs, job.permissions])).toEqual([
      ['test', undefined, { contents: 'read' }],
      ['package', 'test', { contents: 'read' }],
      ['npm', 'package', { 'id-token': 'write' }],
      [
        'image',
        'package',
        { contents: 'read', packages: 'write', 'id-token': 'write', attestations: 'write' },
      ],
      ['github', ['npm', 'image'], { contents: 'write' }],
    ])
  })

  test('runs the scripts that a terminal runs', () => {
    const commands = steps.map(({ run = '' }) => run).join('\n')
    expect(commands).toContain('npm run release:dry -- --skip-tests')
    expect(manifest.scripts).toHaveProperty('release:dry')
  })

  const actionlint = process.env['ACTIONLINT'] ?? 'actionlint'
  const isHere = spawnSync(actionlint, ['-version']).status === 0
  test.skipIf(!isHere)('satisfies actionlint (ACTIONLINT names the program)', () => {
    const { status, stdout } = spawnSync(actionlint, [workflowFile], {
      cwd: root,
      encoding: 'utf8',
    })
    expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
  })
})

interface Manifest {
  readonly version: string
  readonly scripts: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}

interface Job {
  readonly needs?: string | readonly string[] | undefined
  readonly permissions?: unknown
  readonly steps: readonly { readonly uses?: string; readonly run?: string }[]
}

interface Workflow {
  readonly permissions: unknown
  readonly jobs: Readonly<Record<string, Job>>
}
