import { describe, expect, test } from 'vitest'
import { chooseLeases } from '../../../src/consumers/leases/choose-leases.ts'
import { createLeaseViews } from '../../../src/consumers/leases/lease-views.ts'
import { askedFor, handoverMsMax, renewed } from '../../../src/consumers/leases/lease.ts'
import type { Lease } from '../../../src/consumers/leases/lease.ts'
import { lease } from './leases.ts'

/** `a1 a2 b3 -4`: the owner of each shard; `-` is nobody. */
const leasesOf = (text: string): readonly Lease[] =>
  text.split(' ').map((each) => {
    const [owner = '', shardId = ''] = each
    return lease({ shardId, owner: owner === '-' ? undefined : owner })
  })

const idsOf = (leases: readonly Lease[]) => leases.map(({ shardId }) => shardId).join(' ')

function choiceOf(
  leases: readonly Lease[],
  { held = '', stealsMax = 1, leasesMax = Infinity, busier = '' } = {},
) {
  const seen = createLeaseViews(10_000).note(leases, 0)
  return chooseLeases(seen, {
    workerId: 'a',
    held: new Set(held),
    shuffle: (each) => each,
    stealsMax,
    leasesMax,
    isBusier: (owner) => busier.includes(owner),
  })
}

describe('a worker', () => {
  test.each([
    ['alone takes all', '-1 -2 -3', '', {}, '1 2 3', ''],
    ['takes its share', 'b1 b2 -3 -4 -5', '', {}, '3 4 5', ''],
    ['takes no more than its share', 'a1 b2 -3 -4', '1', {}, '3', ''],
    ['takes no more than it may read', '-1 -2 -3', '', { leasesMax: 2 }, '1 2', ''],
    ['asks the busiest one', 'b1 b2 b3 c4 a5', '5', {}, '', '1'],
    ['asks the busiest one for one at a time', 'b1 b2 b3 b4', '', {}, '', '1'],
    ['asks for as many as it is told', 'b1 b2 b3 b4', '', { stealsMax: 5 }, '', '1 2'],
    ['asks for nothing when it has its share', 'a1 b2 b3', '1', {}, '', ''],
    ['asks one that has its share when it lacks two', 'b1 b2 c3 c4 d5 d6', '', {}, '', '1'],
    ['takes back what it does not know of', 'a1 b2', '', {}, '1', ''],
    ['has one of as many shards as workers', 'b1 c2', '', {}, '', ''],
    ['asks one that has more to do otherwise', 'b1 c2', '', { busier: 'c' }, '', '2'],
    ['asks nobody for more than its share', 'a1 b2', '1', { busier: 'b' }, '', ''],
  ])('%s', (_, text, held, limits, take, ask) => {
    const choice = choiceOf(leasesOf(text), { held, ...limits })
    expect([idsOf(choice.take), idsOf(choice.ask)]).toEqual([take, ask])
  })

  test('waits for the parents, and counts only what can be read', () => {
    const choice = choiceOf([
      lease({ shardId: '1', owner: 'b' }),
      lease({ shardId: '2', parentIds: ['1'] }),
      lease({ shardId: '3', checkpoint: { kind: 'ended' } }),
      lease({ shardId: '4', parentIds: ['3', 'gone'] }),
    ])
    expect([idsOf(choice.take), idsOf(choice.ask)]).toEqual(['4', ''])
  })

  test('takes what it asked for when the owner has handed it over, or does not', () => {
    const views = createLeaseViews(10_000)
    const choose = (each: Lease, nowMs: number) =>
      idsOf(
        chooseLeases(views.note([each], nowMs), {
          workerId: 'a',
          held: new Set(),
          shuffle: (leases) => leases,
          stealsMax: 1,
          leasesMax: Infinity,
        }).take,
      )
    const asked = askedFor(lease({ shardId: '1', owner: 'b' }), 'a')
    expect(choose(asked, 0)).toBe('')
    expect(choose(renewed(asked), 9_000)).toBe('')
    expect(choose({ ...renewed(renewed(asked)), handedOverBy: undefined }, 10_000)).toBe('1')
    // The owner goes on without an end; a KCL 2 does not know that it was asked.
    let given = { ...asked, counter: 10 }
    for (let nowMs = 11_000; nowMs < 11_000 + handoverMsMax + 10_000; nowMs += 5_000) {
      given = renewed(given)
      expect(choose(given, nowMs)).toBe('')
    }
    expect(choose(renewed(given), 11_001 + handoverMsMax + 10_000)).toBe('1')
  })
})

describe('a lease of another worker', () => {
  test('is free when its counter stood still for longer than the failover time', () => {
    const views = createLeaseViews(10_000)
    const first = lease({ shardId: '1', owner: 'b' })
    const isFree = (each: Lease, nowMs: number) => views.note([each], nowMs)[0]?.isFree
    expect(isFree(first, 0)).toBe(false)
    expect(isFree(first, 10_000)).toBe(false)
    expect(isFree(renewed(first), 10_001)).toBe(false)
    expect(isFree(renewed(first), 20_001)).toBe(false)
    expect(isFree(renewed(first), 20_002)).toBe(true)
  })

  test('is taken whatever the balance is when it was free for long', () => {
    const views = createLeaseViews(10_000)
    const [first, second, ofOther, free] = leasesOf('a1 a2 b3 -4') as [Lease, Lease, Lease, Lease]
    const choose = (counter: number, nowMs: number) =>
      idsOf(
        chooseLeases(views.note([first, second, { ...ofOther, counter }, free], nowMs), {
          workerId: 'a',
          held: new Set(['1', '2']),
          shuffle: (each) => each,
          stealsMax: 1,
          leasesMax: Infinity,
        }).take,
      )
    expect(choose(1, 0)).toBe('')
    expect(choose(2, 30_000)).toBe('')
    expect(choose(3, 30_001)).toBe('4')
  })
})
