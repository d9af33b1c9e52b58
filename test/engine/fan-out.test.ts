import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { engineWith, keysOf, kinesis, ruleWith } from '../helpers/engine-parts.ts'
import { messageWith } from '../helpers/messages.ts'

const rulesOf = (count: number, filter: string) =>
  Array.from({ length: count }, (_, index) =>
    ruleWith(`${filter[0]}${index}`, `SELECT *, '${index}' AS n FROM '${filter}'`, [
      kinesis({ partitionKey: '${id}' }),
    ]),
  )

/** Ends in its own time, as a commit does. */
function createCommits() {
  const ends: (() => void)[] = []
  return {
    durable: () => new Promise<void>((resolve) => ends.push(resolve)),
    endFirst: () => ends.shift()?.(),
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn()
}

const large = (id: number) => ({ id, text: 'x'.repeat(128 * 1024 - 100) })

test('messages for many rules wait while records of others are on their way to disk', async () => {
  const { durable, endFirst } = createCommits()
  const rules = [...rulesOf(300, 'wide/#'), ...rulesOf(1, 'narrow/#')]
  const { engine, appended } = engineWith(rules, { durable })
  const answered: number[] = []
  const ingestAll = [0, 1, 2, 3, 4, 5, 6].map(async (id) => {
    const clientId = id % 2 === 0 ? 'even' : 'odd'
    await engine.ingest(messageWith({ topic: 'wide/a', clientId, payload: large(id) }))
    answered.push(id)
  })
  await turns(100)
  // 300 records of 128 KiB are about half of what may be on its way to disk.
  expect(appended).toHaveLength(2)
  void engine.ingest(messageWith({ topic: 'narrow/a', payload: { id: 'n' } }))
  expect(appended.map(keysOf).at(-1)).toEqual(['n'])

  for (let ended = 0; ended < 8; ended++) {
    endFirst()
    await turns(100)
    expect(appended.length).toBeLessThanOrEqual(ended + 4)
  }
  await Promise.all(ingestAll)
  expect(answered).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(appended.every((records) => records.length === 300 || records.length === 1)).toBe(true)
})

test('the rules of one message run in several turns of the event loop, in their order', async () => {
  const { engine, appended } = engineWith(rulesOf(200, 'wide/#'))
  let isDone = false
  const ingested = engine
    .ingest(messageWith({ topic: 'wide/a', clientId: 'c', payload: { id: 1 } }))
    .then(() => (isDone = true))
  const next = engine.ingest(messageWith({ topic: 'wide/a', clientId: 'c', payload: { id: 2 } }))
  await nextTurn()
  expect(isDone).toBe(false)
  await Promise.all([ingested, next])
  expect(appended.map((records) => records[0]?.partitionKey)).toEqual(['1', '2'])
  expect(appended[0]?.map(({ ruleName }) => ruleName)).toEqual(
    Array.from({ length: 200 }, (_, index) => `w${index}`),
  )
})

test('a message whose records cannot be made durable gives its memory back', async () => {
  const { engine, appended, failWith } = engineWith(rulesOf(300, 'wide/#'))
  failWith(new Error('disk is full'))
  for (let id = 0; id < 3; id++) {
    await expect(
      engine.ingest(messageWith({ topic: 'wide/a', payload: large(id) })),
    ).rejects.toThrow('disk is full')
  }
  failWith(undefined)
  await engine.ingest(messageWith({ topic: 'wide/a', payload: large(9) }))
  expect(appended).toHaveLength(1)
})

test('the records of one message have a bound in bytes: an action beyond it fails', async () => {
  const action = kinesis({ partitionKey: '${id}' })
  const rules = Array.from({ length: 120 }, (_, index) =>
    ruleWith(
      `r${index}`,
      "SELECT * FROM 'wide/#'",
      Array.from({ length: 10 }, () => action),
    ),
  )
  const { engine, appended, metrics } = engineWith(rules)
  await engine.ingest(messageWith({ topic: 'wide/a', payload: large(1) }))
  const [records = []] = appended
  const bytes = records.reduce(
    (sum, { data, source }) => sum + data.length + source.payload.length,
    0,
  )
  expect(bytes).toBeLessThanOrEqual(256 * 1024 * 1024 + 100 * 256 * 1024)
  const { values } = await metrics.actionFailures.get()
  expect(values.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThan(100)
})
