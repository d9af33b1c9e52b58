import { expect, test } from 'vitest'
import type { CallOutcome } from '../../../src/aws/call/call-outcome.ts'
import { newOutgoing } from '../../../src/delivery/call/outgoing.ts'
import { createApplyVerdict } from '../../../src/delivery/outcome/apply-verdict.ts'
import { createBackoff } from '../../../src/delivery/outcome/backoff.ts'
import { judge } from '../../../src/delivery/outcome/verdict.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

const outgoing = (sequence: number) =>
  newOutgoing({
    sequence,
    partitionKey: 'k',
    bytes: 10,
    data: Buffer.alloc(0),
    stored: Buffer.alloc(10),
    ruleName: 'rule',
    actionIndex: 0,
    acceptedAtMs: 0,
  })

const denied = (operation: string): CallOutcome => ({
  answered: false,
  failure: {
    code: 'AccessDeniedException',
    message: `not authorized to perform: kinesis:${operation} on resource: stream`,
    source: 'Kinesis',
    status: 400,
  },
})
const taken = { ok: true, shardId: 'shardId-000000000000', sequenceNumber: '1' } as const

const random = () => 1
const ignored = () => undefined

/** A destination that acts on the outcomes of calls with so many records. */
function openDestination() {
  const clock = createManualClock()
  const backoff = createBackoff({ clock, random }, { maxInFlight: 16 })
  const applyVerdict = createApplyVerdict({
    queue: { release: ignored },
    shards: { knowsShardOf: () => false, throttled: () => [] },
    backoff,
    givingUp: { giveUp: () => Promise.resolve() },
    report: {
      failed: ignored,
      retried: ignored,
      throttled: ignored,
      batchDenied: ignored,
      recovered: ignored,
      ended: ignored,
      gone: ignored,
    },
    streamMaker: { make: () => false, found: ignored },
    clock,
    random,
    onDelivered: ignored,
  })
  return {
    clock,
    backoff,
    answer: (count: number, outcome: CallOutcome): void => {
      const records = Array.from({ length: count }, (_, index) => outgoing(index + 1))
      applyVerdict(judge(records, outcome), records, backoff.generation())
    },
  }
}

test('a denied PutRecords changes nothing about a destination that fails', () => {
  const { clock, backoff, answer } = openDestination()
  for (let call = 0; call < 7; call++) answer(1, denied('PutRecord'))
  clock.advance(backoff.opensAtMs() - clock.monotonicMs())
  const condition = backoff.condition()
  expect(condition).toMatchObject({ failures: 7 })
  answer(2, denied('PutRecords'))
  expect(backoff.failures()).toBe(7)
  expect(backoff.condition()).toBe(condition)
  expect(backoff.allowed(clock.monotonicMs())).toBe(1)
  answer(1, { answered: true, records: [taken] })
  expect(backoff.failures()).toBe(0)
  expect(backoff.condition()).toBeUndefined()
})
