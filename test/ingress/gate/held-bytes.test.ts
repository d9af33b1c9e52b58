import { setImmediate as turn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createHeldBytes, messageOverheadBytes } from '../../../src/ingress/gate/held-bytes.ts'
import type { HeldPublish, HeldShare } from '../../../src/ingress/gate/held-bytes.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

const kiB = 1024
const bytesMax = 1024 * kiB

/** Shares that only note what they are told. */
function createHouse() {
  const clock = createManualClock()
  const told: string[] = []
  const house = createHeldBytes(
    { clock, stallChanged: (isStalled) => told.push(isStalled ? 'stalled' : 'stall over') },
    { heldBytesMax: bytesMax, packetTimeoutMs: 30_000 },
  )
  return {
    house,
    clock,
    told,
    join: (name: string, left: () => void = () => undefined): HeldShare => {
      const share: HeldShare = house.join({
        changed: () => told.push(`${name} ${share.mayRead ? 'reads' : 'stops'}`),
        isReading: () => share.mayRead,
        evict: (reason) => {
          told.push(`${name} evicted for ${reason}`)
          left()
          share.connectionGone()
        },
      })
      return share
    },
  }
}

describe('the bytes that all clients hold', () => {
  test('at the bound all publishers stop, and resume in the order in which they stopped', async () => {
    const { house, told, join } = createHouse()
    const [first, second, third] = [join('first'), join('second'), join('third')]
    const subscriber = join('subscriber')
    first.hold(0, 300 * kiB, true)
    second.hold(0, 300 * kiB, true)
    third.hold(0, 424 * kiB, true)
    expect(told).toEqual(['first stops', 'second stops', 'third stops'])
    expect(subscriber.mayRead).toBe(true)
    expect(house.total).toBe(bytesMax)

    told.length = 0
    first.hold(0, 170 * kiB, false)
    await turn()
    // Room for two chunks and a bit: three may read, the last of them over the bound by a part.
    expect(told).toEqual(['first reads', 'second reads', 'third reads'])

    told.length = 0
    third.hold(0, 560 * kiB, true)
    expect(told).toEqual(['first stops', 'second stops', 'third stops'])
  })

  test('no PUBLISH passes while half of the bound is with the engine', async () => {
    const { told, join } = createHouse()
    const [first, second] = [join('first'), join('second')]
    expect(first.pass(512 * kiB)).toBe(true)
    const publish = first.dispatched(512 * kiB)
    expect(second.pass(kiB)).toBe(false)
    first.connectionGone()
    expect(second.pass(kiB)).toBe(false)
    first.finished(publish)
    await turn()
    expect(told).toEqual(['second reads'])
    expect(second.pass(kiB)).toBe(true)
  })

  test('messages that the engine never got are freed with the connection', () => {
    const { house, join } = createHouse()
    const share = join('gone')
    share.hold(10, 20, true)
    share.pass(30)
    share.pass(40)
    const publish = share.dispatched(30)
    share.connectionGone()
    expect(house.total).toBe(30 + messageOverheadBytes)
    share.finished(publish)
    expect(house.total).toBe(0)
  })

  test('a message that the engine gets after the connection closed is held until it is finished', () => {
    const { house, join } = createHouse()
    const share = join('a')
    share.pass(100)
    share.connectionGone()
    expect(house.total).toBe(0)
    const publish = share.dispatched(100)
    expect(house.total).toBe(100 + messageOverheadBytes)
    share.finished(publish)
    expect(house.total).toBe(0)
  })

  test('an unanswered message is freed with its connection, and held again if it is distributed', () => {
    const { house, join } = createHouse()
    const share = join('a')
    share.pass(100)
    const publish = share.dispatched(100)
    share.answering(publish)
    expect(house.total).toBe(100 + messageOverheadBytes)
    share.connectionGone()
    expect(house.total).toBe(0)
    share.distributing(publish)
    expect(house.total).toBe(100 + messageOverheadBytes)
    expect(share.finished(publish)).toBe(true)
    expect(house.total).toBe(0)
  })

  test('a message that is finished twice is freed once', () => {
    const { house, join } = createHouse()
    const share = join('a')
    share.pass(100)
    share.pass(200)
    const publish = share.dispatched(100)
    expect(share.finished(publish)).toBe(true)
    expect(share.finished(publish)).toBe(false)
    share.distributing(publish)
    expect(house.total).toBe(200 + messageOverheadBytes)
  })

  test('a closed connection takes nothing more', () => {
    const { house, join } = createHouse()
    const share = join('a')
    share.connectionGone()
    share.hold(100, 200, true)
    expect(share.pass(100)).toBe(false)
    expect(house.total).toBe(0)
  })

  test('partial frames cannot block all clients: the oldest ones end their connections', async () => {
    const { told, join } = createHouse()
    const slow = Array.from({ length: 10 }, (_, index) => join(`slow ${index}`))
    for (const share of slow) share.hold(100 * kiB, 0, true)
    slow[0]?.hold(100 * kiB, 0, true)
    join('other').hold(0, 24 * kiB, true)
    expect(told.filter((line) => line.includes('evicted'))).toEqual([
      'slow 1 evicted for held_bytes',
      'slow 2 evicted for held_bytes',
    ])
    told.length = 0
    for (let turns = 0; turns < 3; turns++) await turn()
    expect(told).toContain('other reads')
  })

  test('a frame has its time and more for its bytes, while its connection is read from', async () => {
    const { clock, told, join } = createHouse()
    const [still, slow, other] = [join('still'), join('slow'), join('other')]
    still.hold(512, 0, true)
    slow.hold(512, 0, true)
    clock.advance(20_000)
    slow.hold(512 * 11, 0, false)
    clock.advance(11_000)
    expect(told).toEqual([])
    clock.advance(1_000)
    expect(told).toEqual(['still evicted for packet_timeout'])
    other.hold(0, bytesMax, true)
    clock.advance(60_000)
    other.hold(0, 0, false)
    await turn()
    told.length = 0
    clock.advance(8_000)
    expect(told).toEqual(['stall over'])
    clock.advance(3_000)
    expect(told).toEqual(['stall over', 'slow evicted for packet_timeout'])
  })

  test('publishers of whom none goes on for five seconds are stalled, which is told once', async () => {
    const { house, clock, told, join } = createHouse()
    const [first, second] = [join('first'), join('second')]
    first.pass(512 * kiB)
    const publish = first.dispatched(512 * kiB)
    expect(second.pass(kiB)).toBe(false)
    clock.advance(4_999)
    expect(house.isStalled).toBe(false)
    clock.advance(60_000)
    expect(house.isStalled).toBe(true)
    first.finished(publish)
    await turn()
    clock.advance(1_000)
    expect(house.isStalled).toBe(false)
    expect(told).toEqual(['stalled', 'second reads', 'stall over'])
    expect(clock.timerCount).toBe(0)
  })

  test('whatever clients do, the sum is right and all clients are read from again at the end', async () => {
    const actions = fc.array(
      fc.record({
        client: fc.nat(5),
        kind: fc.constantFrom(...actionNames, 'turn' as const),
        bytes: fc.nat(300 * kiB),
        index: fc.nat(9),
      }),
      { maxLength: 120 },
    )
    await fc.assert(
      fc.asyncProperty(actions, async (steps) => {
        const { house, join } = createHouse()
        const clients = Array.from({ length: 6 }, (_, index) =>
          newClient((left) => join(`${index}`, left)),
        )
        for (const { client, kind, bytes, index } of steps) {
          if (kind === 'turn') await turn()
          else clients[client]?.[kind](bytes, index)
          const sum = clients.reduce((total, each) => total + each.held(), 0)
          expect(house.total).toBe(sum)
        }
        for (const client of clients) client.settle()
        for (let turns = 0; turns < 12; turns++) await turn()
        // Reading goes on although nobody completes a frame or leaves.
        expect(clients.every(({ share, hasLeft }) => hasLeft() || share.mayRead)).toBe(true)
        for (const client of clients) client.end()
        expect(house.total).toBe(0)
        await turn()
        await turn()
        expect(clients.every(({ share, hasLeft }) => hasLeft() || share.mayRead)).toBe(true)
        expect(join('new').pass(1)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

const actionNames = [
  'hold',
  'begin',
  'pass',
  'dispatch',
  'answer',
  'distribute',
  'finish',
  'close',
] as const

/** What is said of one PUBLISH, and whether the process has it by that. */
interface ModelPublish {
  readonly held: HeldPublish
  readonly bytes: number
  isKept: boolean
  isFinished: boolean
}

const costOf = (all: readonly number[]) =>
  all.reduce((total, bytes) => total + bytes + messageOverheadBytes, 0)

/**
 * A client, its connection, the engine and Aedes behind it: in any order, at any time, also twice
 * and after the connection has gone, but nothing is dispatched that did not pass. What is held is
 * told from what happened alone.
 */
function newClient(join: (left: () => void) => HeldShare) {
  let hasLeft = false
  let waiting = 0
  let partial = 0
  const share = join(() => {
    hasLeft = true
  })
  const passed: number[] = []
  const ofEngine: ModelPublish[] = []
  const some = (index: number) => ofEngine[index % ofEngine.length]

  const client = {
    share,
    hasLeft: () => hasLeft,
    held() {
      const held = ofEngine.filter(({ isKept, isFinished }) => !isFinished && (isKept || !hasLeft))
      return (
        costOf(held.map(({ bytes }) => bytes)) + (hasLeft ? 0 : partial + waiting + costOf(passed))
      )
    },
    hold(bytes: number) {
      waiting = bytes
      share.hold(partial, bytes, false)
    },
    begin(bytes: number) {
      partial = bytes
      share.hold(bytes, waiting, true)
    },
    pass(bytes: number) {
      if (share.pass(bytes)) passed.push(bytes)
    },
    dispatch() {
      const bytes = passed.shift()
      if (bytes === undefined) return
      const held = share.dispatched(bytes)
      ofEngine.push({ held, bytes, isKept: true, isFinished: false })
    },
    answer(_: number, index: number) {
      const publish = some(index)
      if (publish === undefined) return
      share.answering(publish.held)
      publish.isKept = false
    },
    distribute(_: number, index: number) {
      const publish = some(index)
      if (publish === undefined) return
      share.distributing(publish.held)
      publish.isKept = true
    },
    finish(_: number, index: number) {
      const publish = some(index)
      if (publish === undefined) return
      expect(share.finished(publish.held)).toBe(!publish.isFinished)
      publish.isFinished = true
    },
    close() {
      share.connectionGone()
      hasLeft = true
    },
    /** The engine and Aedes do what they must: what is left is a partial frame. */
    settle() {
      for (; passed.length > 0;) client.dispatch()
      ofEngine.forEach((publish, index) => publish.isFinished || client.finish(0, index))
      client.hold(0)
    },
    /** The rest is for the connection to take with it. */
    end() {
      const isDropped = ofEngine.some(({ isKept, isFinished }) => !isKept && !isFinished)
      if (passed.length > 0 || isDropped) client.close()
      ofEngine.forEach((publish, index) => publish.isKept && client.finish(0, index))
      client.begin(0)
      client.hold(0)
    },
  }
  return client
}
