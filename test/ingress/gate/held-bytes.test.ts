import { setImmediate as turn } from 'node:timers/promises'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createHeldBytes, messageOverheadBytes } from '../../../src/ingress/gate/held-bytes.ts'
import type { HeldPublish, HeldShare } from '../../../src/ingress/gate/held-bytes.ts'
import {
  connectRaw,
  createManualIngest,
  encode,
  publishPacket,
  settle,
  startIngress,
  until,
} from '../helpers.ts'

const publishes = (count: number, bytes: number) =>
  Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      encode(publishPacket({ messageId: index + 1, payload: Buffer.alloc(bytes) })),
    ),
  )

const kiB = 1024
const bytesMax = 1024 * kiB

/** Shares that only note what they are told. */
function createHouse() {
  const house = createHeldBytes(bytesMax)
  const told: string[] = []
  return {
    house,
    told,
    join: (name: string): HeldShare => {
      const share: HeldShare = house.join({
        changed: () => told.push(`${name} ${share.mayRead ? 'reads' : 'stops'}`),
        evict: () => {
          told.push(`${name} evicted`)
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

  test('partial frames cannot block all clients: the oldest one ends its connection', () => {
    const { told, join } = createHouse()
    const slow = Array.from({ length: 10 }, (_, index) => join(`slow ${index}`))
    for (const share of slow) share.hold(100 * kiB, 0, true)
    slow[0]?.hold(100 * kiB, 0, true)
    join('other').hold(0, 24 * kiB, true)
    expect(told.filter((line) => line.endsWith('evicted'))).toEqual(['slow 1 evicted'])
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
        const clients = Array.from({ length: 6 }, (_, index) => newClient(join(`${index}`)))
        for (const { client, kind, bytes, index } of steps) {
          if (kind === 'turn') await turn()
          else clients[client]?.[kind](bytes, index)
          const sum = clients.reduce((total, each) => total + each.held(), 0)
          expect(house.total).toBe(sum)
        }
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

const actionNames = ['hold', 'pass', 'dispatch', 'answer', 'distribute', 'finish', 'close'] as const

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
function newClient(share: HeldShare) {
  let hasLeft = false
  let waiting = 0
  const passed: number[] = []
  const ofEngine: ModelPublish[] = []
  const some = (index: number) => ofEngine[index % ofEngine.length]

  const client = {
    share,
    hasLeft: () => hasLeft,
    held() {
      const held = ofEngine.filter(({ isKept, isFinished }) => !isFinished && (isKept || !hasLeft))
      return costOf(held.map(({ bytes }) => bytes)) + (hasLeft ? 0 : waiting + costOf(passed))
    },
    hold(bytes: number) {
      share.hold(0, bytes, true)
      waiting = bytes
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
    /** The engine and Aedes do what they must; the rest is for the connection to take with it. */
    end() {
      const isDropped = ofEngine.some(({ isKept, isFinished }) => !isKept && !isFinished)
      if (passed.length > 0 || isDropped) client.close()
      ofEngine.forEach((publish, index) => publish.isKept && client.finish(0, index))
      client.hold(0)
    },
  }
  return client
}

describe('clients that publish more than there is memory for', () => {
  test('are held within the bound, then served in full; a subscriber continues', async () => {
    const manual = createManualIngest()
    const { port, messages, metric } = await startIngress(manual.ingest, { heldBytesMax: bytesMax })
    const subscriber = await connectRaw(port, { clientId: 'subscriber' })
    const clients = await Promise.all(
      Array.from({ length: 10 }, (_, index) => connectRaw(port, { clientId: `c${index}` })),
    )
    for (const client of clients) client.send(publishes(10, 100_000))
    await until(async () => (await metric('mqttHeldBytes')) >= bytesMax)
    await settle()
    // A chunk for each connection is what Node may have read before it heard of the bound.
    expect(await metric('mqttHeldBytes')).toBeLessThan(bytesMax + 10 * 64 * kiB)
    expect(messages.length).toBe(6)
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'x', qos: 0 }] })
    expect(await subscriber.next()).toMatchObject({ cmd: 'suback' })

    for (let index = 0; index < 100; index++) {
      await until(() => messages.length > index)
      manual.resolve(index)
    }
    for (const client of clients) {
      for (let id = 1; id <= 10; id++) {
        expect(await client.next()).toMatchObject({ cmd: 'puback', messageId: id })
      }
    }
    await until(async () => (await metric('mqttHeldBytes')) === 0)
  })

  test('messages of a closed connection are dropped, unless the engine has them', async () => {
    const manual = createManualIngest()
    const { port, messages, metric } = await startIngress(manual.ingest)
    const client = await connectRaw(port, { clientId: 'gone' })
    client.send(publishes(80, 1_000))
    await until(() => messages.length === 64)
    await settle()
    const heldBytes = await metric('mqttHeldBytes')
    client.destroy()
    await until(async () => (await metric('mqttHeldBytes')) < heldBytes)
    expect(await metric('mqttHeldBytes')).toBe(
      64 * (messageOverheadBytes + encode(publishPacket({ payload: Buffer.alloc(1_000) })).length),
    )
    manual.resolveAll()
    await until(async () => (await metric('mqttHeldBytes')) === 0)
    expect(messages.length).toBe(64)
  })

  test('are counted by the memory of each message, even if two have one packet id', async () => {
    const { port, metric } = await startIngress()
    const client = await connectRaw(port)
    const [long, short] = [Buffer.alloc(10_000), Buffer.alloc(100)]
    client.send(publishPacket({ qos: 2, payload: long }), publishPacket({ qos: 2, payload: short }))
    client.send({ cmd: 'disconnect' })
    await client.closed
    expect(client.waiting).toMatchObject([{ cmd: 'pubrec' }, { cmd: 'pubrec' }])
    await settle()
    expect(await metric('mqttHeldBytes')).toBe(0)
  })

  test('are counted alike in and out, however they encode the length of a packet', async () => {
    const { port, metric } = await startIngress()
    const client = await connectRaw(port)
    for (let messageId = 1; messageId <= 3; messageId++) {
      const [type = 0, length = 0, ...body] = encode(publishPacket({ messageId }))
      client.send(Buffer.from([type, length | 0x80, 0x80, 0x80, 0x00, ...body]))
      expect(await client.next()).toMatchObject({ cmd: 'puback', messageId })
    }
    await settle()
    expect(await metric('mqttHeldBytes')).toBe(0)
  })
})
