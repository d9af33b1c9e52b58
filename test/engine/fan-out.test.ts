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

test('many messages for few rules wait for memory, too, and small ones go on', async () => {
  const { durable, endFirst } = createCommits()
  const rules = [...rulesOf(15, 'wide/#'), ...rulesOf(2, 'narrow/#')]
  const { engine, appended } = engineWith(rules, { durable })
  const count = 60
  const answered = Array.from({ length: count }, (_, id) =>
    engine.ingest(messageWith({ topic: 'wide/a', clientId: `c${id}`, payload: large(id) })),
  )
  await turns(100)
  // Each makes 15 records of 128 KiB, which are there twice.
  expect(appended.length).toBeGreaterThan(10)
  expect(appended.length).toBeLessThan(20)
  const small = engine.ingest(messageWith({ topic: 'narrow/a', payload: { id: 'n' } }))
  expect(appended.map(keysOf).at(-1)).toEqual(['n', 'n'])

  for (let ended = 0; ended <= count; ended++) {
    endFirst()
    await turns(3)
    expect(appended.length).toBeLessThan(ended + 25)
  }
  await Promise.all([...answered, small])
  expect(appended).toHaveLength(count + 1)
})

test('small messages for few rules wait when they make too much together', async () => {
  const { durable, endFirst } = createCommits()
  const { engine, appended } = engineWith(rulesOf(15, 'wide/#'), { durable })
  const count = 2_500
  const payload = { id: 1, text: 'x'.repeat(2_000) }
  const answered = Array.from({ length: count }, (_, id) =>
    engine.ingest(messageWith({ topic: 'wide/a', clientId: `c${id}`, payload })),
  )
  await turns(10)
  expect(appended.length).toBeGreaterThan(1_000)
  expect(appended.length).toBeLessThan(2_000)
  for (let ended = 0; ended < count; ended++) {
    endFirst()
    await turns(1)
  }
  await Promise.all(answered)
  expect(appended).toHaveLength(count)
})

test('rules that agree hold one buffer, also with others between them', async () => {
  const rules = Array.from({ length: 30 }, (_, index) => {
    const sql = `SELECT *, ${index % 3} AS n FROM 'wide/#'`
    return ruleWith(`r${String(index).padStart(2, '0')}`, sql, [kinesis({ partitionKey: 'k' })])
  })
  const { engine, appended } = engineWith(rules)
  await engine.ingest(messageWith({ topic: 'wide/a', payload: { id: 1 } }))
  const data = appended[0]?.map((record) => record.data) ?? []
  expect(data.map(String)).toEqual(rules.map((_, index) => `{"id":1,"n":${index % 3}}`))
  expect(new Set(data).size).toBe(3)
})

test('the records of one message have a bound in bytes: an action beyond it fails', async () => {
  const { engine, appended, metrics } = engineWith(rulesOf(1_100, 'wide/#'))
  await engine.ingest(messageWith({ topic: 'wide/a', payload: large(1) }))
  const [records = []] = appended
  const bytes = records.reduce((sum, { data }) => sum + data.length, 0)
  expect(records.length).toBeGreaterThan(1_000)
  expect(bytes).toBeLessThanOrEqual(128 * 1024 * 1024)
  const { values } = await metrics.actionFailures.get()
  expect(values.reduce((sum, { value }) => sum + value, 0)).toBe(1_100 - records.length)
})

test('records that agree count once: 2,000 of one message fit', async () => {
  const action = kinesis({ partitionKey: '${id}' })
  const rules = Array.from({ length: 200 }, (_, index) =>
    ruleWith(
      `r${index}`,
      "SELECT * FROM 'wide/#'",
      Array.from({ length: 10 }, () => action),
    ),
  )
  const { engine, appended } = engineWith(rules)
  await engine.ingest(messageWith({ topic: 'wide/a', payload: large(1) }))
  expect(appended[0]).toHaveLength(2_000)
})
