import { expect, test } from 'vitest'
import {
  connectRaw,
  createManualIngest,
  publishPacket,
  settle,
  startIngress,
  until,
} from '../helpers.ts'

/** Messages of QoS 1 wait for the queues of sessions, and those of QoS 0 do not. */
test.each([
  ['a clean session', true],
  ['a session that stays', false],
])(
  '%s of MQTT 3.1.1 gets each message once, however their distributions overlap',
  async (_, clean) => {
    const { ingest, outcomes } = createManualIngest()
    const { port, ingress } = await startIngress(ingest)
    const subscriber = await connectRaw(port, { clientId: 'subscriber', clean })
    const subscriptions = ['t/#', 't/+', 't/qos/+'].map((topic) => ({ topic, qos: 1 as const }))
    subscriber.send({ cmd: 'subscribe', messageId: 1, subscriptions })
    await subscriber.next()
    const publishers = await Promise.all(
      ['p1', 'p2', 'p3'].map((clientId) => connectRaw(port, { clientId })),
    )
    const sent: string[] = []
    const name = (qos: 0 | 1 | 2, from: string) => {
      const payload = `${sent.length}, QoS ${qos}, ${from}`
      sent.push(payload)
      return payload
    }
    for (let round = 0; round < 8; round++) {
      for (const [at, publisher] of publishers.entries()) {
        const qos = ((round + at) % 3) as 0 | 1 | 2
        const payload = name(qos, `p${at}`)
        const packet = { topic: 't/1', payload, qos, messageId: round + 1, retain: round % 4 === 3 }
        publisher.send(publishPacket(packet))
        const overHttp = (round + at) % 2 === 0 ? 1 : 0
        const parts = { qos: overHttp, retain: false, transport: 'http', timestampMs: 0 } as const
        const message = { topic: 't/qos/1', payload: Buffer.from(name(overHttp, 'http')), ...parts }
        void ingress.publish(message)
      }
    }
    await until(() => outcomes.length === sent.length)
    // One flush makes many messages durable.
    for (const outcome of outcomes) outcome.resolve()

    await settle()
    const received = subscriber.waiting.map((packet) =>
      packet.cmd === 'publish' ? packet.payload.toString() : packet.cmd,
    )
    expect(received.toSorted()).toEqual(sent.toSorted())
  },
)
