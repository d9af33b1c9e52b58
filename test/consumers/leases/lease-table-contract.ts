import { expect, test } from 'vitest'
import type { CheckpointScope } from '../../../src/consumers/checkpoints.ts'
import {
  askedFor,
  checkpointed,
  ended,
  released,
  renewed,
  taken,
} from '../../../src/consumers/leases/lease.ts'
import type { Lease, LeaseTable } from '../../../src/consumers/leases/lease.ts'
import { lease } from './leases.ts'

/** Opens a table as one more process does; it is closed when the test ends. */
export type OpenTable = (scope: CheckpointScope) => Promise<LeaseTable>

const scope: CheckpointScope = {
  application: 'alarm panel',
  streamArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
  streamCreatedMs: 1_700_000_000_000,
}
const start = { kind: 'start', position: { type: 'TRIM_HORIZON' } } as const
const first = lease({
  shardId: 'shardId-000000000000',
  hashKeys: { starting: 0n, ending: 2n ** 128n - 1n },
})
const child = lease({ shardId: 'shardId-000000000001', parentIds: [first.shardId] })

const sorted = (leases: readonly Lease[]) =>
  leases.toSorted((left, right) => left.shardId.localeCompare(right.shardId))

/**
 * What every table of leases does.
 *
 * @param openApart opens the tables of one test: they have nothing of those of another one
 */
export function describeLeaseTable(openApart: () => Promise<OpenTable>): void {
  test('a lease is created once, and listed by all processes', async () => {
    const open = await openApart()
    const [one, other] = [await open(scope), await open(scope)]
    expect(await one.list()).toEqual([])
    expect(await Promise.all([one.create(first), other.create(first)])).toContain(false)
    expect(await other.create(child)).toBe(true)
    expect(sorted(await one.list())).toMatchObject([first, child])
    expect(await one.get(child.shardId)).toMatchObject(child)
    expect(await one.get('shardId-000000000009')).toBeUndefined()
  })

  test('of two processes that take a lease, one is refused', async () => {
    const open = await openApart()
    const [one, other] = [await open(scope), await open(scope)]
    await one.create(first)
    const answers = await Promise.all([
      one.replace(first, taken(first, 'one', start)),
      other.replace(first, taken(first, 'other', start)),
    ])
    expect(answers.filter(Boolean)).toHaveLength(1)
    const owner = answers[0] ? 'one' : 'other'
    expect(await one.list()).toMatchObject([{ owner, counter: 1 }])
    expect(await other.get(first.shardId)).toMatchObject({ owner, counter: 1 })
  })

  test('the life of a lease, with what comes too late', async () => {
    const open = await openApart()
    const [one, other] = [await open(scope), await open(scope)]
    await one.create(first)
    const mine = taken(first, 'one', start)
    expect(await one.replace(first, mine)).toBe(true)
    const after = {
      kind: 'after',
      sequenceNumber: '49590338271490256608559692538361571095',
    } as const
    const saved = checkpointed(mine, after)
    expect(await one.replace(mine, saved)).toBe(true)
    const asked = askedFor(saved, 'other')
    expect(await other.replace(saved, asked)).toBe(true)
    // The question does not raise the counter, and shows all the same.
    expect(await one.replace(saved, renewed(saved))).toBe(false)
    const found = await one.get(first.shardId)
    expect(found).toMatchObject({ owner: 'other', handedOverBy: 'one', counter: 2 })
    const handed = released(asked)
    expect(await one.replace(asked, handed)).toBe(true)
    const theirs = taken(handed, 'other', after)
    expect(await other.replace(handed, theirs)).toBe(true)
    expect(await one.replace(handed, renewed(handed))).toBe(false)
    const over = ended(theirs, [child.shardId])
    expect(await other.replace(theirs, over)).toBe(true)
    const [listed] = await one.list()
    expect(listed).toMatchObject({ checkpoint: { kind: 'ended' }, childIds: [child.shardId] })
    expect(listed?.owner).toBeUndefined()
    expect(await one.remove(theirs)).toBe(false)
    expect(await one.remove(over)).toBe(true)
    expect(await other.list()).toEqual([])
    expect(await other.replace(over, renewed(over))).toBe(false)
  })

  test('a time, the rest of an aggregate, and LATEST come back', async () => {
    const open = await openApart()
    const table = await open(scope)
    const at = { type: 'AT_TIMESTAMP', timestampMs: 1_700_000_000_123 } as const
    const leases = [
      lease({ shardId: 'a', checkpoint: { kind: 'start', position: at }, isFromLatest: true }),
      lease({
        shardId: 'b',
        checkpoint: { kind: 'after', sequenceNumber: '7', subSequenceNumber: 3 },
        ownerSwitches: 2,
      }),
      lease({ shardId: 'c', parentIds: ['a', 'b'] }),
    ]
    for (const each of leases) expect(await table.create(each)).toBe(true)
    expect(sorted(await (await open(scope)).list())).toMatchObject(leases)
  })

  test('leases of a stream that was deleted and made again are removed', async () => {
    const open = await openApart()
    await (await open(scope)).create(first)
    const again = await open({ ...scope, streamCreatedMs: scope.streamCreatedMs + 1 })
    expect(await again.list()).toEqual([])
    expect(await again.create(child)).toBe(true)
    expect(await again.list()).toMatchObject([child])
  })
}
