import { describe, expect, test } from 'vitest'
import { changesOf, itemOf, leaseOf } from '../../../src/consumers/leases/lease-row.ts'
import {
  askedFor,
  checkpointed,
  ended,
  released,
  renewed,
  taken,
} from '../../../src/consumers/leases/lease.ts'
import type { Lease, LeaseCheckpoint } from '../../../src/consumers/leases/lease.ts'
import { lease } from './leases.ts'

const scope = { application: 'a', streamArn: 'arn', streamCreatedMs: 1 }
const start = { kind: 'start', position: { type: 'TRIM_HORIZON' } } as const
const at = { kind: 'start', position: { type: 'AT_TIMESTAMP', timestampMs: 7 } } as const

describe('the item of a lease', () => {
  test.each<[LeaseCheckpoint, boolean, string, string, LeaseCheckpoint]>([
    [start, false, 'TRIM_HORIZON', '0', start],
    [at, false, 'AT_TIMESTAMP', '0', at],
    [at, true, 'LATEST', '0', at],
    [{ kind: 'ended' }, false, 'SHARD_END', '0', { kind: 'ended' }],
    [
      { kind: 'after', sequenceNumber: '49', lastSubSequenceNumber: 2 },
      false,
      '49',
      '2',
      { kind: 'after', sequenceNumber: '49', subSequenceNumber: 2 },
    ],
    [
      { kind: 'after', sequenceNumber: '49', subSequenceNumber: 1 },
      false,
      '49',
      '1',
      { kind: 'after', sequenceNumber: '49', subSequenceNumber: 1 },
    ],
    // A record that is not an aggregate: the KCL counts it as the first of one.
    [
      { kind: 'after', sequenceNumber: '49' },
      false,
      '49',
      '0',
      { kind: 'after', sequenceNumber: '49', subSequenceNumber: 0 },
    ],
  ])('has the checkpoint %j as the KCL does', (checkpoint, isFromLatest, text, sub, read) => {
    const item = itemOf(lease({ checkpoint, isFromLatest }), scope)
    expect(item).toMatchObject({ checkpoint: { S: text }, checkpointSubSequenceNumber: { N: sub } })
    expect(leaseOf(item)).toMatchObject({ checkpoint: read, isFromLatest })
  })

  test('keeps everything else', () => {
    const whole: Lease = lease({
      shardId: 'shardId-7',
      owner: 'a',
      handedOverBy: 'b',
      counter: 12,
      ownerSwitches: 3,
      parentIds: ['shardId-1', 'shardId-2'],
      childIds: ['shardId-8'],
      hashKeys: { starting: 1n, ending: 2n ** 127n },
    })
    expect(leaseOf(itemOf(whole, scope))).toEqual(whole)
  })

  test.each([
    ['LATEST', true],
    ['AT_TIMESTAMP', false],
  ])('of the KCL has no time with %s', (text, isFromLatest) => {
    const item = { leaseKey: { S: '1' }, leaseCounter: { N: '0' }, checkpoint: { S: text } }
    expect(leaseOf(item)).toMatchObject({ checkpoint: { kind: 'untimed' }, isFromLatest })
  })

  test('of another type is not a lease', () => {
    expect(leaseOf({ leaseKey: { S: 'Leader' }, entityType: { S: 'LEADER' } })).toBeUndefined()
  })
})

describe('what a write changes', () => {
  const held = lease({ owner: 'a', counter: 4, ownerSwitches: 1 })
  const asked = askedFor(held, 'b')

  test.each<[string, Lease, Lease, object]>([
    ['a renewal', held, renewed(held), { leaseCounter: { N: '5' } }],
    [
      'a takeover',
      held,
      taken(held, 'b', start),
      {
        leaseCounter: { N: '5' },
        leaseOwner: { S: 'b' },
        ownerSwitchesSinceCheckpoint: { N: '2' },
      },
    ],
    [
      'a question for the shard, which leaves the counter',
      held,
      asked,
      { leaseOwner: { S: 'b' }, checkpointOwner: { S: 'a' } },
    ],
    [
      'the handover',
      asked,
      released(asked),
      {
        leaseCounter: { N: '5' },
        checkpointOwner: undefined,
        ownerSwitchesSinceCheckpoint: { N: '2' },
      },
    ],
    ['a release', held, released(held), { leaseCounter: { N: '5' }, leaseOwner: undefined }],
    [
      'a checkpoint',
      held,
      checkpointed(held, { kind: 'after', sequenceNumber: '49' }),
      {
        leaseCounter: { N: '5' },
        ownerSwitchesSinceCheckpoint: { N: '0' },
        checkpoint: { S: '49' },
        pendingCheckpoint: undefined,
        pendingCheckpointSubSequenceNumber: undefined,
        pendingCheckpointState: undefined,
      },
    ],
    [
      'the end',
      held,
      ended(held, ['8']),
      {
        leaseCounter: { N: '5' },
        leaseOwner: undefined,
        ownerSwitchesSinceCheckpoint: { N: '0' },
        checkpoint: { S: 'SHARD_END' },
        childShardIds: { SS: ['8'] },
        pendingCheckpoint: undefined,
        pendingCheckpointSubSequenceNumber: undefined,
        pendingCheckpointState: undefined,
      },
    ],
  ])('is, for %s, no more than that', (_, before, after, expected) => {
    expect(changesOf(before, after)).toStrictEqual(expected)
  })
})
