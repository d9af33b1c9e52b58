/** docs/SQL.md says of each function whether it is there; the function table decides. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { functionHelp } from '../../src/sql/functions/function-help.ts'
import { functionTable } from '../../src/sql/functions/table.ts'

const text = readFileSync(path.join(import.meta.dirname, '../../docs/SQL.md'), 'utf8')

const rows = [...text.matchAll(/^\| `(\w+)` +\| ([a-z ]+?) +\| (\d{4}-\d\d-\d\d) +\|/gm)].map(
  ([, name = '', status = '', since = '']) => ({ name, status, since }),
)
const isThere = (status: string) => status === 'same' || status === 'differs'

test('each function that there is stands in docs/SQL.md, with its version', () => {
  const documented = rows.filter(({ status }) => isThere(status))
  const there = [...functionTable.values()].map(
    ({ name, sinceVersion }) => `${name} ${sinceVersion}`,
  )
  expect(documented.map(({ name, since }) => `${name} ${since}`).toSorted()).toEqual(
    there.toSorted(),
  )
})

test('no function stands there twice, and each with a known status', () => {
  expect(new Set(rows.map(({ name }) => name.toLowerCase())).size).toBe(rows.length)
  const statuses = new Set(rows.map(({ status }) => status))
  expect(
    [...statuses].filter((each) => !['same', 'differs', 'not yet', 'absent'].includes(each)),
  ).toEqual([])
  expect(rows.length).toBeGreaterThan(80)
})

test('editors have help for each function, with as many parameters as it takes', () => {
  const fromHelp = Object.entries(functionHelp).map(([name, [parameters, help]]) => {
    const each = parameters === '' ? [] : parameters.split(', ')
    const isRepeated = each.some((parameter) => parameter.endsWith('...'))
    const optional = each.filter((parameter) => /(?:\?|\.\.\.)$/.test(parameter)).length
    expect(help).toMatch(/\S/)
    const most = isRepeated ? Number.POSITIVE_INFINITY : each.length
    return `${name} ${each.length - optional} ${most}`
  })
  const fromTable = [...functionTable.values()].map(({ name, arity }) => [name, ...arity].join(' '))
  expect(fromHelp.toSorted()).toEqual(fromTable.toSorted())
})
