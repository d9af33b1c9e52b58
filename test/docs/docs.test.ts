import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { generatedDocuments } from '../../scripts/generate-docs.ts'

describe('generated files are up to date (`npm run docs`)', () => {
  test.each(Object.entries(generatedDocuments))('%s', async (file, text) => {
    expect(readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')).toBe(await text())
  })
})
