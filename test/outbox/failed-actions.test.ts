import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { noDestination } from '../../src/outbox/outbox.ts'
import type { NewRecord, Outbox } from '../../src/outbox/outbox.ts'
import { exportOutbox, repairOutbox, verifyOutbox } from '../../src/outbox/repair.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import {
  everything,
  givenUp,
  idOf,
  newRecord,
  newRecordFor,
  openTestOutbox,
  temporaryDirectory,
  textsOf,
} from './outbox-parts.ts'

const why = { code: 'TemplateFailed', message: 'no key', field: 'actions[0].kinesis.partitionKey' }

/** What stands for an action that failed for a message with this text. */
function failedFor(text: string, members: Partial<NewRecord> = {}): NewRecord {
  return { ...newRecordFor(noDestination, '', text), failed: why, ...members }
}

const both = (text: string) => [newRecord('b', 'k', text), failedFor(`failed ${text}`)]

const listed = (outbox: Outbox) =>
  outbox.deadLetters.list({ maxResults: 250 }).deadLetters.map(({ data }) => data.toString())
const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index))

describe('an action that failed', () => {
  test('is a dead letter as soon as its message is durable, through a restart', async () => {
    const directory = temporaryDirectory()
    const { outbox } = await openTestOutbox(directory)
    await outbox.append([newRecord('a', 'k', 'made'), failedFor('failed', { actionIndex: 1 })])
    await outbox.close()
    const { outbox: reopened } = await openTestOutbox(directory)
    expect(textsOf(reopened, 'a')).toEqual(['made'])
    expect(reopened.destinations().map(({ records }) => records)).toEqual([1])
    const { deadLetters } = reopened.deadLetters.list()
    expect(deadLetters).toMatchObject([
      {
        ruleName: 'telemetry',
        actionIndex: 1,
        field: why.field,
        reason: { code: why.code, message: why.message },
        attempts: 0,
        source: { messageId: 'm', topic: 'a/b' },
      },
    ])
    expect(deadLetters[0]?.destination).toBeUndefined()
    expect(reopened.deadLetters.size().records).toBe(1)
    expect(reopened.ledger('telemetry')).toMatchObject([
      { actionIndex: 0, accepted: 1, queued: 1 },
      { actionIndex: 1, accepted: 1, deadLettered: 1 },
    ])
    await reopened.append([newRecord('a', 'k', 'later')])
    const sequences = reopened.read(idOf(reopened, 'a'), 0, everything)
    expect(sequences.at(-1)?.sequence).toBeGreaterThan(Number(deadLetters[0]?.id))
    await reopened.close()
  })

  test('is verified, exported and repaired as other dead letters', async () => {
    const directory = temporaryDirectory()
    const { outbox } = await openTestOutbox(directory)
    await outbox.append([newRecord('a', 'k', 'a record of its own'), failedFor('failed')])
    await outbox.close()
    expect(await verifyOutbox(directory)).toMatchObject({ deadLetters: 1, damagedRows: 0 })
    const lines: unknown[] = []
    await exportOutbox(directory, (line) => lines.push(JSON.parse(line)))
    expect(lines).toMatchObject([
      { kind: 'deadLetter', field: why.field, reason: { code: why.code } },
      { kind: 'record' },
    ])
    const file = path.join(directory, 'outbox', 'data.mdb')
    const bytes = readFileSync(file)
    bytes[bytes.indexOf('record of its own')] = 0
    writeFileSync(file, bytes)
    await repairOutbox(directory, {
      clock: systemClock,
      logger: createMemoryLogger(() => undefined),
    })
    const { outbox: repaired } = await openTestOutbox(directory)
    expect(textsOf(repaired, 'a')).toEqual([])
    expect(listed(repaired)).toEqual(['failed'])
    expect(repaired.deadLetters.size().records).toBe(1)
    expect(await repaired.deadLetters.delete({})).toEqual({ count: 1, kept: 0 })
    expect(repaired.deadLetters.size()).toEqual({ records: 0, bytes: 0 })
    await repaired.close()
  })

  test('takes no place of a destination', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory(), { destinationsMax: 1 })
    await outbox.append([newRecord('a', 'k', '1'), failedFor('2')])
    await outbox.append([failedFor('3')])
    await expect(outbox.append([newRecord('b', 'k', '4')])).rejects.toThrow('none is left')
    expect(listed(outbox)).toEqual(['2', '3'])
    await outbox.close()
  })

  test('may be among the records that replace a given-up record or a dead letter', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory())
    await outbox.append([newRecord('a', 'k', '1')])
    const [record] = outbox.read(idOf(outbox, 'a'), 0, everything)
    if (record) await outbox.giveUp(idOf(outbox, 'a'), [givenUp(record)])
    expect(await outbox.deadLetters.replay({}, () => both('2'))).toEqual({ count: 1, kept: 0 })
    expect(textsOf(outbox, 'b')).toEqual(['2'])
    expect(listed(outbox)).toEqual(['failed 2'])
    const [next] = outbox.read(idOf(outbox, 'b'), 0, everything)
    if (next) {
      await outbox.giveUp(idOf(outbox, 'b'), [givenUp(next, { replacements: both('3') })])
    }
    expect(textsOf(outbox, 'b')).toEqual(['3'])
    expect(listed(outbox)).toEqual(['failed 2', 'failed 3'])
    expect(outbox.ledger('telemetry')).toMatchObject([
      { accepted: 4, delivered: 1, handedOver: 1, queued: 1, deadLettered: 2, dropped: 0 },
    ])
    await outbox.close()
  })

  test('pushes out no dead letter of a record: the oldest failed actions make room', async () => {
    const { outbox } = await openTestOutbox(temporaryDirectory(), { deadLetterBytesMax: 8_000 })
    await outbox.append(numbers(20).map((text) => newRecord('a', 'k', text)))
    const records = outbox.read(idOf(outbox, 'a'), 0, everything)
    await outbox.giveUp(
      idOf(outbox, 'a'),
      records.map((record) => givenUp(record)),
    )
    for (let round = 0; round < 20; round += 1) {
      await outbox.append(numbers(10).map((text) => failedFor(`${round}.${text}`)))
    }
    const kept = listed(outbox)
    expect(kept.slice(0, 20)).toEqual(numbers(20))
    const failed = kept.slice(20)
    expect(failed.length).toBeGreaterThan(5)
    expect(failed).toEqual(
      numbers(20)
        .flatMap((round) => numbers(10).map((text) => `${round}.${text}`))
        .slice(-failed.length),
    )
    expect(outbox.deadLetters.size().bytes).toBeLessThanOrEqual(8_000)
    expect(outbox.ledger('telemetry')).toMatchObject([
      { accepted: 220, deadLettered: kept.length, dropped: 220 - kept.length },
    ])
    await outbox.close()
  })

  test('that fails for every message makes a thousand dead letters at once, then 100 a second', async () => {
    const clock = createManualClock()
    const { outbox, metrics } = await openTestOutbox(temporaryDirectory(), {}, clock)
    const flood = () => outbox.append(numbers(1_500).map((text) => failedFor(text)))
    await flood()
    expect(outbox.deadLetters.size().records).toBe(1_000)
    await outbox.append([failedFor('of another action', { actionIndex: 1 })])
    expect(outbox.deadLetters.size().records).toBe(1_001)
    clock.advance(1_000)
    await flood()
    expect(outbox.deadLetters.size().records).toBe(1_101)
    expect(outbox.ledger('telemetry')[0]).toMatchObject({
      accepted: 3_000,
      deadLettered: 1_100,
      dropped: 1_900,
    })
    expect(await metrics.registry.metrics()).toContain(
      'sluice_records_dropped_total{rule="telemetry",action="0"} 1900',
    )
    await outbox.close()
  })
})
