import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  until,
  appendRounds,
  openDelivery,
  putsOf,
  textsByKey,
} from '../../delivery/producer-parts.ts'
import type { Delivery } from '../../delivery/producer-parts.ts'
import { destination, newRecordFor } from '../../outbox/records.ts'
import { rawCall } from '../lab-fixtures.ts'

/** The recipes of docs/LAB.md, as printed: what they say happens to one message and to many. */
const text = readFileSync(new URL('../../../docs/LAB.md', import.meta.url), 'utf8')
const [, block = ''] = /^### Recipes\n+```sh\n([^]*?)^```/m.exec(text) ?? []
const recipes = block.split(/^# /m).flatMap((part) => {
  const title = part.slice(0, part.indexOf('\n'))
  const bodies = [...part.matchAll(/_faults -d '([^']+)'/g)]
  return bodies.map(([, body = ''], index) => ({
    title,
    index,
    body: body.replaceAll(/\s+/g, ' '),
  }))
})
const recipe = (beginning: string, index = 0) => {
  const found = recipes.find((it) => it.title.startsWith(beginning) && it.index === index)
  if (!found) throw new Error(`docs/LAB.md has no recipe ${index} of "${beginning}"`)
  return found.body
}

async function add({ lab }: Pick<Delivery, 'lab'>, body: string): Promise<() => number> {
  const url = `http://127.0.0.1:${lab.port}/_faults`
  const response = await fetch(url, { method: 'POST', body })
  expect(response.status).toBe(201)
  return () => lab.faults.list().at(-1)?.appliedCount ?? 0
}

/** One record is sent by PutRecord, several by PutRecords. */
const amounts = [
  ['one message', ['a']],
  ['many messages', ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']],
] as const

/** The keys of what has arrived after the rule has applied and was removed. */
async function arrivedAfter(delivery: Delivery, keys: readonly string[], applied: () => number) {
  await appendRounds(delivery, keys, 1)
  delivery.producer.start()
  await until(() => applied() > 0)
  delivery.lab.faults.clear()
  await delivery.producer.idle()
  return [...textsByKey(delivery.lab, 'stream').keys()].toSorted()
}

describe.each(amounts)('a recipe applies to %s, and all are delivered in the end', (_, keys) => {
  test.each(
    recipes
      .filter(({ body }) => !/GetRecords|probability|roleArn|"AccessDeniedException"/.test(body))
      .map(({ title, index, body }) => [title, index, body] as const),
  )('%s (%i)', async (_title, _index, body) => {
    const delivery = await openDelivery({ haste: 50, shardCount: 1 })
    const applied = await add(delivery, body)
    expect(await arrivedAfter(delivery, keys, applied)).toEqual(keys)
  })

  test('a role that only puts single records: they are put one by one', async () => {
    const delivery = await openDelivery({ haste: 50 })
    const applied = await add(delivery, recipe('A role that cannot', 1))
    const expected = await appendRounds(delivery, keys, 1)
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream')).toEqual(expected)
    expect(applied()).toBe(keys.length > 1 ? 1 : 0)
    const singles = putsOf(delivery).filter(({ operation }) => operation === 'PutRecord')
    expect(singles).toHaveLength(keys.length)
  })

  test('a role that cannot be assumed: its records wait', async () => {
    const delivery = await openDelivery({ haste: 50 })
    const applied = await add(delivery, recipe('A role that cannot', 0))
    const { roleArn } = JSON.parse(recipe('A role that cannot', 0)) as { roleArn: string }
    const to = { ...destination('stream'), credentials: { kind: 'role', roleArn } as const }
    await delivery.outbox.append(keys.map((key) => newRecordFor(to, key, '0')))
    delivery.producer.start()
    await until(() => applied() > 1)
    expect(putsOf(delivery)).toEqual([])
    delivery.lab.faults.clear()
    await delivery.producer.idle()
    expect([...textsByKey(delivery.lab, 'stream').keys()].toSorted()).toEqual(keys)
  })
})

test('an answer that is lost: the retry stores the records twice', async () => {
  for (const [, keys] of amounts) {
    const delivery = await openDelivery({ haste: 50 })
    await add(delivery, recipe('A slow service', 1))
    await appendRounds(delivery, keys, 1)
    delivery.producer.start()
    await delivery.producer.idle()
    const texts = textsByKey(delivery.lab, 'stream')
    expect([...texts.values()]).toEqual(keys.map(() => ['0', '0']))
  }
})

test('a token that has expired: the role is assumed again', async () => {
  for (const [, keys] of amounts) {
    const delivery = await openDelivery({ haste: 50 })
    await add(delivery, recipe('The session token'))
    await appendRounds(delivery, keys, 1)
    delivery.producer.start()
    await delivery.producer.idle()
    const assumed = delivery.lab.calls.list().filter(({ operation }) => operation === 'AssumeRole')
    expect(assumed).toHaveLength(2)
  }
})

test('a hot shard: reads from it fail', async () => {
  const delivery = await openDelivery({ shardCount: 2 })
  const { lab } = delivery
  await add(delivery, recipe('A hot shard', 1))
  const read = async (ShardId: string) => {
    const input = { StreamName: 'stream', ShardId, ShardIteratorType: 'LATEST' }
    const { output } = await rawCall(lab, 'GetShardIterator', input)
    return rawCall(lab, 'GetRecords', { ShardIterator: output['ShardIterator'] })
  }
  expect(await read('shardId-000000000000')).toMatchObject({
    type: 'ProvisionedThroughputExceededException',
  })
  expect(await read('shardId-000000000001')).toMatchObject({ status: 200 })
})

test('one record in fifty fails', async () => {
  const { lab } = await openDelivery({ faultSeed: 3 })
  await add({ lab }, recipe('One record in fifty'))
  const Records = Array.from({ length: 500 }, (_, index) => ({
    PartitionKey: String(index),
    Data: '',
  }))
  const { output } = await rawCall(lab, 'PutRecords', { StreamName: 'stream', Records })
  expect(output['FailedRecordCount']).toBeGreaterThan(2)
  expect(output['FailedRecordCount']).toBeLessThan(30)
})
