import { describe, expect, it } from 'vitest'
import type { LabCall } from '../../src/lab/calls.ts'
import { newRecord } from '../outbox/outbox-parts.ts'
import { openDelivery, textsByKey } from './producer-parts.ts'
import type { Delivery } from './producer-parts.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index))

/** Appends `count` records of each key, one message a round, and gives what is expected. */
async function appendRounds(
  { outbox }: Delivery,
  keys: readonly string[],
  count: number,
): Promise<Map<string, string[]>> {
  const appends = numbers(count).map((text) =>
    outbox.append(keys.map((key) => newRecord('stream', key, text))),
  )
  await Promise.all(appends)
  return new Map(keys.map((key) => [key, numbers(count)]))
}

const puts = ({ lab }: Delivery): readonly LabCall[] =>
  lab.calls.list().filter(({ operation }) => operation.startsWith('Put'))

describe('the producer', () => {
  it('sends one record by PutRecord, and many that wait by PutRecords', async () => {
    const delivery = await openDelivery()
    delivery.producer.start()
    await delivery.outbox.append([newRecord('stream', 'k', 'first')])
    await delivery.producer.idle()
    await delivery.outbox.append(numbers(1_200).map((text) => newRecord('stream', text, text)))
    await delivery.producer.idle()
    expect(puts(delivery).map(({ operation }) => operation)).toEqual([
      'PutRecord',
      'PutRecords',
      'PutRecords',
      'PutRecords',
    ])
    expect(delivery.lab.streams.records('stream')).toHaveLength(1_201)
  })

  it('delivers what an earlier process left', async () => {
    const delivery = await openDelivery()
    const expected = await appendRounds(delivery, ['a', 'b'], 50)
    delivery.producer.start()
    await delivery.producer.idle()
    expect(textsByKey(delivery.lab, 'stream')).toEqual(expected)
    expect(delivery.outbox.size().records).toBe(0)
  })

  it('assumes the role once, and signs with what it got', async () => {
    const delivery = await openDelivery({ streams: ['stream', 'other'] })
    delivery.producer.start()
    await delivery.outbox.append([newRecord('stream', 'k', '1'), newRecord('other', 'k', '1')])
    await delivery.producer.idle()
    const assumed = delivery.lab.calls.list().filter(({ operation }) => operation === 'AssumeRole')
    expect(assumed).toHaveLength(1)
    expect(assumed[0]?.accessKeyId).toBe('AKIATEST')
    for (const { accessKeyId } of puts(delivery)) expect(accessKeyId).toMatch(/^ASIA/)
  })
})
