import { describe, expect, test } from 'vitest'
import type { CallOutcome, RecordOutcome } from '../../../src/aws/call/call-outcome.ts'
import type { Failure } from '../../../src/aws/call/failure-class.ts'
import { judge } from '../../../src/delivery/outcome/verdict.ts'

const taken: RecordOutcome = { ok: true, shardId: 'shardId-000000000000', sequenceNumber: '1' }
const failure = (code: string, message = '', status?: number): Failure => ({
  code,
  message,
  source: 'Kinesis',
  ...(status === undefined ? {} : { status }),
})
const entry = (code: string): RecordOutcome => ({ ok: false, failure: failure(code) })
const answered = (...records: RecordOutcome[]): CallOutcome => ({ answered: true, records })
const failed = (code: string, status?: number, message = ''): CallOutcome => ({
  answered: false,
  failure: failure(code, message, status),
})
const throttled = 'ProvisionedThroughputExceededException'
const denied = 'not authorized to perform: kinesis:PutRecords on resource'

/** What a verdict says unless a row says otherwise. */
const nothing = {
  delivered: [],
  backedOff: [],
  throttled: [],
  again: [],
  alone: [],
  refused: [],
  destinationFailure: undefined,
  batchDenied: false,
}

describe('the verdict on a call', () => {
  test.each<[string, string, CallOutcome, object]>([
    ['all taken', 'ab', answered(taken, taken), { delivered: ['a', 'b'] }],
    [
      'some throttled',
      'abc',
      answered(entry(throttled), taken, entry('InternalFailure')),
      { delivered: ['b'], backedOff: ['c'], throttled: ['a'] },
    ],
    ['an answer that is too short', 'ab', answered(taken), { delivered: ['a'], backedOff: ['b'] }],
    [
      'an entry that the key service refuses',
      'ab',
      answered(entry('KMSDisabledException'), taken),
      { delivered: ['b'], again: ['a'], destinationFailure: { code: 'KMSDisabledException' } },
    ],
    [
      'an entry that is refused for what it is',
      'ab',
      answered(entry('InvalidArgumentException'), taken),
      { delivered: ['b'], refused: ['a'] },
    ],
    [
      'a call without answer',
      'ab',
      failed('ECONNRESET'),
      { again: ['a', 'b'], destinationFailure: { code: 'ECONNRESET' } },
    ],
    [
      'a throttled PutRecords',
      'ab',
      failed(throttled, 400),
      { again: ['a', 'b'], destinationFailure: { code: throttled } },
    ],
    ['a throttled PutRecord', 'a', failed(throttled, 400), { throttled: ['a'] }],
    [
      'a missing stream',
      'ab',
      failed('ResourceNotFoundException', 400),
      { again: ['a', 'b'], destinationFailure: { code: 'ResourceNotFoundException' } },
    ],
    [
      'PutRecords that the role does not allow',
      'ab',
      failed('AccessDeniedException', 400, denied),
      { again: ['a', 'b'], batchDenied: true },
    ],
    [
      'PutRecord that the role does not allow',
      'a',
      failed('AccessDeniedException', 400, denied),
      { again: ['a'], destinationFailure: { code: 'AccessDeniedException' } },
    ],
    [
      'a call that one of its records spoils',
      'ab',
      failed('ValidationException', 400),
      { alone: ['a', 'b'] },
    ],
    [
      'a record that is refused for what it is',
      'a',
      failed('ValidationException', 400),
      { refused: ['a'] },
    ],
  ])('%s', (_, records, outcome, expected) => {
    const items = records.split('')
    const verdict = judge(items, outcome)
    const refused = verdict.refused.map(({ item }) => item)
    expect({ ...verdict, refused }).toMatchObject({ ...nothing, ...expected })
    const { delivered, backedOff, throttled: ofShards, again, alone } = verdict
    const all = [...delivered, ...backedOff, ...ofShards, ...again, ...alone, ...refused]
    expect(all.toSorted()).toEqual(items)
    const failures = [...verdict.failedByCode.values()].reduce((sum, count) => sum + count, 0)
    expect(failures).toBe(items.length - delivered.length)
  })
})
