import { describe, expect, test } from 'vitest'
import { listApiOperations } from '../../scripts/api-operations.ts'
import { statusOf } from '../../src/http/server/http-answers.ts'
import { openStore, payloadOf } from '../rules/rule-fixtures.ts'
import { startServer } from './http-fixtures.ts'
import type { StartedServer } from './http-fixtures.ts'
import { never } from './never-provoked.ts'
import type { Provocation } from './provocation.ts'
import { provocations } from './error-provocations.ts'

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

  const rows = declared.flatMap(({ id, code, api }) => {
    const provocation = provocations[id]?.[code]
    return provocation ? [{ id, code, api, provocation }] : []
  })
  const isShared = ({ provocation }: (typeof rows)[number]) => provocation.isStateless === true
  /** What a row must be answered with, and is. */
  const answerOf = async (
    { id, provocation, api, code }: (typeof rows)[number],
    on: StartedServer,
  ) => {
    const answer: unknown = await provocation.call(on).then(
      () => 'no error',
      (thrown: unknown) => thrown,
    )
    const status = statusOf(code, api)
    const wanted = { name: code, $metadata: { httpStatusCode: status } }
    return [
      { id, answer },
      { id, answer: wanted },
    ] as const
  }

  test('that leaves nothing behind, on one server for each fault', async () => {
    const servers = new Map<Provocation['dependencies'], StartedServer>()
    const shared = rows.filter(isShared)
    expect(shared.length).toBeGreaterThan(0)
    for (const row of shared) {
      const { dependencies } = row.provocation
      const server =
        servers.get(dependencies) ?? (await startServer(dependencies ? { dependencies } : {}))
      servers.set(dependencies, server)
      const [answer, wanted] = await answerOf(row, server)
      expect(answer).toMatchObject(wanted)
    }
  })

  test.each(rows.filter((row) => !isShared(row)))('$id: $code', async (row) => {
    const { dependencies, isThrottled } = row.provocation
    const opened = await openStore()
    await opened.store.create('r', payloadOf(), {})
    const server = await startServer({
      store: opened,
      ...(dependencies && { dependencies }),
      ...(isThrottled && { options: { callRate: 1 } }),
    })
    if (isThrottled) await fetch(`${server.url}/rules`)
    const [answer, wanted] = await answerOf(row, server)
    expect(answer).toMatchObject(wanted)
  })
})
