import { describe, expect, test } from 'vitest'
import { listApiOperations } from '../../scripts/api-operations.ts'
import { statusOf } from '../../src/http/server/http-answers.ts'
import { openStore, payloadOf } from '../rules/rule-fixtures.ts'
import { startServer } from './http-fixtures.ts'
import { never, provocations } from './error-provocations.ts'

/**
 * Every error that an operation declares, provoked with AWS's own clients where the operation is
 * AWS's. What is declared and has no row here fails the test, unless `never` says why.
 */
const operations = await listApiOperations()
const declared = operations.flatMap(({ operation: { id, documentId, errors }, api }) =>
  errors.map((code) => ({ id: documentId ?? id, code, api })),
)

describe('every declared error', () => {
  test('is provoked here, or cannot be', () => {
    const missing = declared
      .filter(({ id, code }) => !provocations[id]?.[code] && !never[`${id} ${code}`])
      .map(({ id, code }) => `${id} ${code}`)
    expect(missing).toEqual([])
    const rows = Object.entries(provocations).flatMap(([id, codes]) =>
      Object.keys(codes).map((code) => `${id} ${code}`),
    )
    const names = declared.map(({ id, code }) => `${id} ${code}`)
    expect([...rows, ...Object.keys(never)].filter((row) => !names.includes(row))).toEqual([])
    expect(rows.filter((row) => never[row])).toEqual([])
  })

  test.each(
    declared.flatMap(({ id, code, api }) => {
      const provocation = provocations[id]?.[code]
      return provocation ? [{ id, code, api, provocation }] : []
    }),
  )('$id: $code', async ({ code, api, provocation: { call, dependencies, isThrottled } }) => {
    const opened = await openStore()
    await opened.store.create('r', payloadOf(), {})
    const server = await startServer({
      store: opened,
      ...(dependencies && { dependencies }),
      ...(isThrottled && { options: { callRate: 1 } }),
    })
    if (isThrottled) await fetch(`${server.url}/rules`)
    await expect(call(server)).rejects.toMatchObject({
      name: code,
      $metadata: { httpStatusCode: statusOf(code, api) },
    })
  })
})
