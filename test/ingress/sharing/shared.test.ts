import mqtt from 'mqtt'
import { describe, expect, test } from 'vitest'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { settle, startIngress, until } from '../helpers.ts'
import { all, connected, first, keeps, numbers, publish, start } from './sharing-fixtures.ts'
import { openWorker } from './worker.ts'

describe('each message goes to one member', () => {
  test('of the clients of mqtt.js, of either version', async () => {
    const started = await start()
    const received: string[][] = [[], []]
    const workers = await Promise.all(
      ([4, 5] as const).map((protocolVersion) =>
        mqtt.connectAsync({ port: started.port, protocolVersion, reconnectPeriod: 0 }),
      ),
    )
    for (const [at, worker] of workers.entries()) {
      worker.on('message', (_topic, payload) => received[at]?.push(payload.toString()))
      await worker.subscribeAsync('$share/g/jobs/#', { qos: 1 })
    }
    await publish(started, numbers(20))
    await until(() => received.flat().length === 20)
    expect(received.map((of) => of.length)).toEqual([10, 10])
    expect(received.flat().toSorted()).toEqual(numbers(20).toSorted())
    await until(async () => (await started.metric('mqttQueuedBytes')) === 0)
    for (const worker of workers) await worker.endAsync()
  })

  test.each([0, 1, 2] as const)('in turn, at QoS %s, of either version', async (qos) => {
    const started = await start()
    const { port } = started
    const workers = await Promise.all([
      openWorker(port, 'a'),
      openWorker(port, 'b', { version: 5 }),
      openWorker(port, 'c', keeps(4)),
      openWorker(port, 'd', keeps(5)),
    ])
    for (const worker of workers) await worker.subscribe('$share/g/jobs/+', { qos })
    const plain = await openWorker(port, 'plain')
    await plain.subscribe('jobs/#', { qos })
    await publish(started, numbers(40), { qos })
    await plain.has(40)
    await settle()
    expect(all(...workers).toSorted()).toEqual(numbers(40).toSorted())
    for (const worker of workers) {
      expect(worker.received).toHaveLength(10)
      expect(worker.received.every((packet) => packet.qos === qos && !packet.dup)).toBe(true)
    }
  })

  test('of each group, whatever its filter, and to plain subscriptions as well', async () => {
    const started = await start()
    const { port } = started
    const worker = await openWorker(port, 'a', { version: 5 })
    const other = await openWorker(port, 'b')
    for (const each of [worker, other]) {
      await each.subscribe('$share/g/jobs/+')
      await each.subscribe('$share/g/jobs/#')
      await each.subscribe('$share/h/jobs/+')
      await each.subscribe('$share/h/others/+')
    }
    await worker.subscribe('jobs/#')
    await publish(started, ['x'])
    await settle()
    expect(all(worker, other)).toEqual(['x', 'x', 'x', 'x'])
  })

  test('at the QoS, with the options, of that member', async () => {
    const started = await start()
    const { port } = started
    const worker = await openWorker(port, 'a', { version: 5 })
    const subscriptionIdentifier = 7
    worker.send({
      cmd: 'subscribe',
      messageId: 3,
      subscriptions: [{ topic: '$share/g/jobs/1', qos: 0, rap: true }],
      properties: { subscriptionIdentifier },
    })
    await until(() => worker.others.some(({ cmd }) => cmd === 'suback'))
    const other = await openWorker(port, 'b')
    await other.subscribe('$share/g/jobs/1', { qos: 1 })
    await publish(started, ['x', 'y'], { qos: 2, retain: true })
    await settle()
    expect(first(worker)).toMatchObject({
      qos: 0,
      retain: true,
      properties: { subscriptionIdentifier },
    })
    expect(first(other)).toMatchObject({ qos: 1, retain: false })
  })

  test('that has room, and waits where none has', async () => {
    const started = await start()
    const { port } = started
    const properties = { receiveMaximum: 1 }
    const narrow = await openWorker(port, 'a', { version: 5, properties })
    const wide = await openWorker(port, 'b', { version: 5, properties: { receiveMaximum: 3 } })
    for (const each of [narrow, wide]) await each.subscribe('$share/g/jobs/1')
    await publish(started, numbers(8))
    await settle()
    expect(all(narrow, wide).toSorted()).toEqual(['0', '1', '2', '3'])
    expect(narrow.received).toHaveLength(1)
    await narrow.acknowledge(first(narrow))
    expect(narrow.payloads()[1]).toBe('4')
    for (let at = 0; at < 3; at++) await wide.acknowledge(wide.received[at] ?? first(wide))
    expect(wide.payloads().slice(3)).toEqual(['5', '6', '7'])
  })

  test('a client of MQTT 3.1.1 has at most 100 that it did not acknowledge', async () => {
    const started = await start()
    const { port } = started
    const worker = await openWorker(port, 'a')
    await worker.subscribe('$share/g/jobs/1')
    await publish(started, numbers(150))
    await settle()
    expect(worker.payloads()).toEqual(numbers(100))
    for (const packet of worker.received)
      worker.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
    await worker.has(150)
    expect(worker.payloads()).toEqual(numbers(150))
    expect(new Set(worker.received.map(({ messageId }) => messageId)).size).toBe(150)
  })

  test('and none is lost where more come than are queued, to a client that takes them', async () => {
    const started = await start({ queuedMax: 10 })
    const { port } = started
    const worker = await openWorker(port, 'a')
    await worker.subscribe('$share/g/jobs/1')
    await publish(started, numbers(200))
    await worker.has(200)
    expect(worker.payloads()).toEqual(numbers(200))
  })
})

describe('MQTT 5', () => {
  test('a packet that is too large for its member is delivered to nobody', async () => {
    const started = await start()
    const { port, metric } = started
    const small = await openWorker(port, 'a', { version: 5, properties: { maximumPacketSize: 60 } })
    const large = await openWorker(port, 'b', { version: 5 })
    for (const each of [small, large]) await each.subscribe('$share/g/jobs/1')
    await publish(started, ['x'.repeat(100), 'y'])
    await large.has(1)
    await settle()
    expect(all(small, large)).toEqual(['y'])
    await large.acknowledge(first(large))
    expect(await metric('mqttQueuedBytes')).toBe(0)
  })

  test('a message that its member refuses is given to nobody else', async () => {
    const started = await start()
    const { port, metric } = started
    const workers = [
      await openWorker(port, 'a', { version: 5 }),
      await openWorker(port, 'b', { version: 5 }),
    ] as const
    for (const each of workers) await each.subscribe('$share/g/jobs/1')
    await publish(started, ['x'])
    await workers[0].has(1)
    await workers[0].acknowledge(first(workers[0]), 0x80)
    workers[0].kill()
    await connected(started, 1)
    await workers[1].ping()
    expect(all(...workers)).toEqual(['x'])
    expect(await metric('mqttQueuedBytes')).toBe(0)
  })

  test('a member gets its own messages, and those that have expired go to nobody', async () => {
    const clock = createManualClock()
    const started = await startIngress(undefined, {}, undefined, clock)
    const { port } = started
    const worker = await openWorker(port, 'a', keeps(5))
    await worker.subscribe('$share/g/jobs/1')
    worker.send({
      cmd: 'publish',
      topic: 'jobs/1',
      payload: 'own',
      qos: 0,
      dup: false,
      retain: false,
    })
    await worker.has(1)
    worker.kill()
    await connected(started, 0)
    await publish(started, ['late'], { mqtt5: { messageExpirySeconds: 10, userProperties: [] } })
    await publish(started, ['timely'])
    clock.advance(11_000)
    const back = await openWorker(port, 'a', keeps(5))
    await back.has(1)
    expect(back.payloads()).toEqual(['timely'])
  })
})
