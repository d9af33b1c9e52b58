import { describe, expect, test } from 'vitest'
import { settle } from '../helpers.ts'
import {
  all,
  connected,
  first,
  keeps,
  numbers,
  publish,
  start,
  versions,
} from './sharing-fixtures.ts'
import { openWorker } from './worker.ts'

describe.each(versions)('with members of version %s', (version) => {
  test.each(['kill', 'leave'] as const)(
    'what a member did not acknowledge goes to another when it goes (%s)',
    async (how) => {
      const started = await start()
      const { port } = started
      const [going, staying] = [
        await openWorker(port, 'a', keeps(version)),
        await openWorker(port, 'b', { version }),
      ]
      for (const each of [going, staying]) await each.subscribe('$share/g/jobs/1')
      await publish(started, numbers(6))
      await settle()
      expect(going.payloads()).toEqual(['0', '2', '4'])
      await going.acknowledge(first(going))
      await going[how]()
      await staying.has(5)
      expect(staying.payloads()).toEqual(['1', '3', '5', '2', '4'])
      expect(staying.received.some(({ dup }) => dup)).toBe(false)
      const back = await openWorker(port, 'a', keeps(version))
      await back.ping()
      expect(back.received).toEqual([])
    },
  )

  test('a session that comes back first gets it again, with DUP and its packet id', async () => {
    const started = await start()
    const { port } = started
    const away = await openWorker(port, 'a', keeps(version))
    await away.subscribe('$share/g/jobs/1')
    await publish(started, ['sent'])
    await away.has(1)
    away.kill()
    await connected(started, 0)
    await publish(started, ['queued'])
    const back = await openWorker(port, 'a', keeps(version))
    expect(back.isPresent).toBe(true)
    await back.has(2)
    const { messageId } = first(away)
    expect(back.received).toMatchObject([{ dup: true, messageId }, { dup: false }])
    expect(back.payloads()).toEqual(['sent', 'queued'])
    for (const packet of back.received) await back.acknowledge(packet)
    back.kill()
    await connected(started, 0)
    const again = await openWorker(port, 'a', keeps(version))
    await again.ping()
    expect(again.received).toEqual([])
  })

  test('while all are away messages wait for whoever comes first, also someone new', async () => {
    const started = await start()
    const { port } = started
    const away = await openWorker(port, 'a', keeps(version))
    await away.subscribe('$share/g/jobs/1')
    await publish(started, ['sent'])
    await away.has(1)
    away.kill()
    await connected(started, 0)
    await publish(started, ['queued'])
    await publish(started, ['dropped'], { qos: 0 })
    const other = await openWorker(port, 'b', { version })
    await other.subscribe('$share/g/jobs/1')
    await other.has(2)
    expect(other.received.map(({ dup }) => dup)).toEqual([false, false])
    for (const packet of other.received) await other.acknowledge(packet)
    const back = await openWorker(port, 'a', keeps(version))
    await back.ping()
    expect(all(other, back)).toEqual(['sent', 'queued'])
  })

  test('a group without sessions ends with its last member', async () => {
    const started = await start()
    const { port, metric } = started
    const going = await openWorker(port, 'a', { version })
    await going.subscribe('$share/g/jobs/1')
    await publish(started, ['lost'])
    await going.has(1)
    expect(await metric('mqttQueuedBytes')).toBeGreaterThan(0)
    going.kill()
    await connected(started, 0)
    expect(await metric('mqttQueuedBytes')).toBe(0)
    await publish(started, ['nobody'])
    const other = await openWorker(port, 'b', { version })
    await other.subscribe('$share/g/jobs/1')
    await other.ping()
    expect(other.received).toEqual([])
  })

  test('the messages of a session that ends go to other members', async () => {
    const started = await start()
    const { port, ingress } = started
    const sessions = [
      await openWorker(port, 'a', keeps(version)),
      await openWorker(port, 'b', keeps(version)),
    ]
    for (const each of sessions) await each.subscribe('$share/g/jobs/1')
    for (const each of sessions) each.kill()
    await connected(started, 0)
    await publish(started, ['x', 'y'])
    await ingress.disconnect('a', { cleanSession: true })
    const back = await openWorker(port, 'b', keeps(version))
    await back.has(2)
    expect(back.payloads()).toEqual(['x', 'y'])
    back.kill()
    await connected(started, 0)
    await ingress.disconnect('b', { cleanSession: true })
    expect(await started.metric('mqttQueuedBytes')).toBe(0)
  })

  test('a member that unsubscribes keeps what it was sent until its connection ends', async () => {
    const started = await start()
    const { port } = started
    const [leaving, staying] = [
      await openWorker(port, 'a', keeps(version)),
      await openWorker(port, 'b', { version }),
    ]
    for (const each of [leaving, staying]) await each.subscribe('$share/g/jobs/1')
    await publish(started, numbers(4))
    await settle()
    await leaving.unsubscribe('$share/g/jobs/1')
    await publish(started, ['4'])
    await staying.has(3)
    await leaving.acknowledge(first(leaving))
    expect(staying.payloads()).toEqual(['1', '3', '4'])
    leaving.kill()
    await staying.has(4)
    expect(staying.payloads()).toEqual(['1', '3', '4', '2'])
  })

  test('the last member keeps what it was sent in its session', async () => {
    const started = await start()
    const { port } = started
    const leaving = await openWorker(port, 'a', keeps(version))
    await leaving.subscribe('$share/g/jobs/1')
    await publish(started, ['x', 'y'])
    await leaving.has(2)
    await leaving.unsubscribe('$share/g/jobs/1')
    await leaving.acknowledge(first(leaving))
    leaving.kill()
    await connected(started, 0)
    const back = await openWorker(port, 'a', keeps(version))
    await back.has(1)
    expect(first(back)).toMatchObject({ dup: true, messageId: leaving.received[1]?.messageId })
    expect(back.payloads()).toEqual(['y'])
  })

  test('QoS 2 stays with the member that it was sent to', async () => {
    const started = await start()
    const { port } = started
    const [going, staying] = [
      await openWorker(port, 'a', keeps(version)),
      await openWorker(port, 'b', { version }),
    ]
    for (const each of [going, staying]) await each.subscribe('$share/g/jobs/1', { qos: 2 })
    await publish(started, numbers(4), { qos: 2 })
    await going.has(2)
    await going.acknowledge(first(going))
    expect(going.others.at(-2)).toMatchObject({ cmd: 'pubrel', messageId: first(going).messageId })
    going.kill()
    await connected(started, 1)
    await staying.ping()
    expect(staying.payloads()).toEqual(['1', '3'])
    const back = await openWorker(port, 'a', keeps(version))
    await back.has(1)
    await back.ping()
    expect(back.payloads()).toEqual(['2'])
    expect(first(back)).toMatchObject({ dup: true, messageId: going.received[1]?.messageId })
    expect(back.others.some(({ cmd }) => cmd === 'pubrel')).toBe(true)
  })

  test('a connection that takes over gets what the earlier one did not acknowledge', async () => {
    const started = await start()
    const { port } = started
    const old = await openWorker(port, 'a', keeps(version))
    await old.subscribe('$share/g/jobs/1')
    await publish(started, numbers(3))
    await old.has(3)
    const young = await openWorker(port, 'a', keeps(version))
    await young.has(3)
    await publish(started, ['3'])
    await young.has(4)
    expect(young.payloads()).toEqual(numbers(4))
    expect(young.received.map(({ dup }) => dup)).toEqual([true, true, true, false])
  })

  test('retained messages do not come, and RETAIN of later ones is 0', async () => {
    const started = await start()
    const { port } = started
    await publish(started, ['retained'], { retain: true })
    const worker = await openWorker(port, 'a', { version })
    await worker.subscribe('$share/g/jobs/1')
    await worker.ping()
    expect(worker.received).toEqual([])
    await publish(started, ['live'], { retain: true })
    await worker.has(1)
    expect(first(worker)).toMatchObject({ retain: false })
  })

  test('subscribing again changes the QoS, and messages go on', async () => {
    const started = await start()
    const { port } = started
    const worker = await openWorker(port, 'a', { version })
    await worker.subscribe('$share/g/jobs/1', { qos: 0 })
    await publish(started, ['0'])
    await worker.subscribe('$share/g/jobs/1', { qos: 1 })
    await publish(started, ['1'])
    await worker.subscribe('$share/g/jobs/1', { qos: 0 })
    await publish(started, ['2'])
    await worker.has(3)
    expect(worker.received.map(({ qos }) => qos)).toEqual([0, 1, 0])
  })
})
