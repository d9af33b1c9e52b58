import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { readFaultRule } from '../../../src/lab/faults/fault-rule.ts'

const text = readFileSync(new URL('../../../docs/LAB.md', import.meta.url), 'utf8')
const bodies = [...text.matchAll(/_faults -d '([^']+)'/g)].map((match) => match[1] ?? '')

describe('docs/LAB.md', () => {
  test.each(bodies)('a rule that can be pasted: %s', (body) => {
    const rule: unknown = JSON.parse(body)
    expect(readFaultRule(rule, ['PutRecord', 'PutRecords', 'GetRecords'])).toEqual(rule)
  })

  test.each(['error', 'html', 'failEntries', 'delay', 'dropCall', 'dropAnswer'])(
    'tells of the effect %s',
    (kind) => {
      expect(text).toMatch(new RegExp(`^\\| \`${kind}\` +\\|`, 'm'))
      expect(bodies.length).toBeGreaterThan(5)
    },
  )
})
