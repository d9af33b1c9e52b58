import { describe, expect, test } from 'vitest'
import { hashKeySpace } from '../../../src/base/hash-key.ts'
import { missingLeases, outdatedLeases } from '../../../src/consumers/leases/missing-leases.ts'
import type { Lease } from '../../../src/consumers/leases/lease.ts'
import type { ShardDescription, StartPosition } from '../../../src/consumers/shard-reader.ts'
import { lease } from './leases.ts'

const nowMs = 5_000
const after = { kind: 'after', sequenceNumber: '1' } as const

/** `1x 2(1) 3(1)`: shard 1 is closed, 2 and 3 are its children. */
const shardsOf = (text: string): readonly ShardDescription[] =>
  text.split(' ').map((each) => {
    const [, shardId = '', closed, parents] = /^(\w)(x?)(?:\((.*)\))?$/.exec(each) ?? []
    return {
      shardId,
      parentIds: parents?.split(',') ?? [],
      startingHashKey: 0n,
      endingHashKey: hashKeySpace - 1n,
      isClosed: closed === 'x',
    }
  })

function positionOf({ shardId, checkpoint, isFromLatest }: Lease): string {
  if (checkpoint.kind !== 'start') return `${shardId} ${checkpoint.kind}`
  const { position } = checkpoint
  const at = position.type === 'AT_TIMESTAMP' ? ` ${position.timestampMs}` : ''
  return `${shardId} ${isFromLatest ? 'LATEST' : position.type}${at}`
}

const horizon: StartPosition = { type: 'TRIM_HORIZON' }
const latest: StartPosition = { type: 'LATEST' }
const time: StartPosition = { type: 'AT_TIMESTAMP', timestampMs: 7 }

describe('leases are made', () => {
  test.each<[string, string, readonly Lease[], StartPosition, readonly string[]]>([
    [
      'for all shards, parents first',
      '3(1,2) 1x 2x',
      [],
      horizon,
      ['1 TRIM_HORIZON', '2 TRIM_HORIZON', '3 TRIM_HORIZON'],
    ],
    ['at LATEST for open shards', '1x 2(1) 3(1)', [], latest, ['2 LATEST 5000', '3 LATEST 5000']],
    ['at a time', '1x 2(1)', [], time, ['1 AT_TIMESTAMP 7', '2 AT_TIMESTAMP 7']],
    [
      'for children, from their beginning',
      '1x 2(1) 3(1)',
      [lease({ shardId: '1', checkpoint: after })],
      latest,
      ['2 TRIM_HORIZON', '3 TRIM_HORIZON'],
    ],
    [
      'for the rest of a first start that was cut off',
      '1 2 3',
      [lease({ shardId: '1', isFromLatest: true })],
      latest,
      ['2 LATEST 5000', '3 LATEST 5000'],
    ],
    [
      'for children of shards that were not begun, from their beginning',
      '1x 2(1)',
      [lease({ shardId: '1', isFromLatest: true })],
      latest,
      ['2 TRIM_HORIZON'],
    ],
    [
      'not for parents that were read, and whose leases the KCL has removed',
      '1x 2x(1) 3(2)',
      [lease({ shardId: '3', parentIds: ['2'], checkpoint: after })],
      horizon,
      [],
    ],
    [
      'not for parents whose child is not listed yet',
      '1x',
      [lease({ shardId: '3', parentIds: ['1'], checkpoint: after })],
      horizon,
      [],
    ],
    [
      'for both parents of a shard that is merged, before it',
      '1x 2x(1) 3x 4(2,3)',
      [lease({ shardId: '1', checkpoint: after }), lease({ shardId: '3', checkpoint: after })],
      horizon,
      ['2 TRIM_HORIZON', '4 TRIM_HORIZON'],
    ],
    [
      'for unknown shards of an application that has begun, from their beginning',
      '1 5(4)',
      [lease({ shardId: '1', checkpoint: after })],
      latest,
      ['5 TRIM_HORIZON'],
    ],
  ])('%s', (_, shards, leases, from, expected) => {
    expect(missingLeases(shardsOf(shards), leases, from, nowMs).map(positionOf)).toEqual(expected)
  })
})

test('leases of processed shards go when the stream no longer lists these', () => {
  const leases = [
    lease({ shardId: '1', checkpoint: { kind: 'ended' } }),
    lease({ shardId: '2', checkpoint: { kind: 'ended' } }),
    lease({ shardId: '3', checkpoint: after }),
  ]
  expect(outdatedLeases(shardsOf('2x 4(2)'), leases).map(({ shardId }) => shardId)).toEqual(['1'])
})
