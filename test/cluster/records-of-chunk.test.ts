import { expect, test } from 'vitest'
import { encodeForChunk, recordOfChunk } from '../../src/cluster/lanes/records-of-chunk.ts'
import type { NewRecord } from '../../src/outbox/outbox.ts'
import { everything, idOf, openTestOutbox, temporaryDirectory } from '../outbox/outbox-parts.ts'
import { newRecord } from '../outbox/records.ts'

const payload = Buffer.from('{"payload":1}')
const plain = newRecord('stream', 'key', 'text')
const records: readonly NewRecord[] = [
  plain,
  { ...plain, explicitHashKey: '12345678901234567890', call: '{"QueueUrl":"ключ"}' },
  {
    ...plain,
    partitionKey: 'ключ',
    data: Buffer.from('other'),
    source: {
      ...plain.source,
      payload,
      clientId: 'device',
      principal: 'somebody',
      mqtt5: { contentType: 'text/plain', userProperties: [['a', 'b']] },
    },
  },
]

test('a record that comes through a chunk is in the outbox what it would be without', async () => {
  const { outbox } = await openTestOutbox(temporaryDirectory())
  await outbox.append(records)
  const values = records.map((record) => encodeForChunk(record, 1_000))
  await outbox.append(values.map((value) => recordOfChunk(value, plain.destination)))
  const read = outbox.read(idOf(outbox, 'stream'), 0, everything)
  const seen = read.map((record) => ({
    ruleName: record.ruleName,
    actionIndex: record.actionIndex,
    partitionKey: record.partitionKey,
    explicitHashKey: record.explicitHashKey,
    data: record.data,
    call: record.call,
    bytes: record.bytes,
    source: outbox.sourceOf(record),
    isOfNow: record.acceptedAtMs > 1_000,
  }))
  expect(seen).toHaveLength(2 * records.length)
  expect(seen.slice(records.length)).toEqual(seen.slice(0, records.length))
  await outbox.close()
})
