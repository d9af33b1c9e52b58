import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Aedes } from 'aedes'
import { expect, test } from 'vitest'
import { createPersistence } from '../../src/ingress/kept/persistence.ts'
import { createSubscriberQueues } from '../../src/ingress/kept/subscriber-queues.ts'
import { createSessionSubscriptions } from '../../src/ingress/kept/subscriptions.ts'
import { atTheEnd, connectRaw, until } from './helpers.ts'

test('the will of a connected client is not published when the time of day is set forward', async () => {
  const { store } = createPersistence({
    queues: createSubscriberQueues({ queuedMax: 10, queuedBytesMax: 1_000 }),
    subscriptions: createSessionSubscriptions({ hashMatchesParent: true }),
    hasSession: () => false,
    keepsFilter: () => false,
    isMqtt5: () => false,
    receivedOf: () => undefined,
    mayReceive: () => true,
    acknowledged: () => {},
    emptied: () => undefined,
    notKept: () => undefined,
  })
  let looks = 0
  const persistence = new Proxy(store, {
    get(target, name): unknown {
      if (name === 'streamWill') looks++
      return Reflect.get(target, name)
    },
  })
  // Aedes looks for wills of other brokers every fourth heartbeat.
  const options = { heartbeatInterval: 2, persistence }
  const broker = await Aedes.createBroker(options)
  atTheEnd(() => broker.close())
  const published: string[] = []
  broker.authorizePublish = (_client, { topic }, proceed) => {
    published.push(topic)
    proceed()
  }
  const server = createServer(broker.handle).listen(0, '127.0.0.1')
  await once(server, 'listening')
  atTheEnd(() => server.close())
  const will = { topic: 'gone', payload: Buffer.from('bye'), qos: 1, retain: false } as const
  const client = await connectRaw((server.address() as AddressInfo).port, { will })
  atTheEnd(setTimeForward())
  await until(() => looks >= 3)
  expect(published).toEqual([])
  expect(client.isClosed).toBe(false)
})

/** From now on each look at the time of day shows an hour more. @returns what undoes it */
function setTimeForward(): () => void {
  const { now } = Date
  let aheadMs = 0
  Date.now = () => now() + (aheadMs += 3_600_000)
  return () => {
    Date.now = now
  }
}
