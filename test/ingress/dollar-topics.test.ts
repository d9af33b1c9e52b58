import { describe, expect, test } from 'vitest'
import { settle, startIngress } from './helpers.ts'
import { openWorker } from './sharing/worker.ts'

describe.each([4, 5] as const)('topics that begin with $, MQTT version %s', (version) => {
  const publish = { cmd: 'publish', qos: 0, payload: 'x', dup: false } as const

  test('are those of other clients in the profile open, and no wildcard matches them', async () => {
    const { port, messages } = await startIngress(undefined, { profile: 'open' })
    const client = await openWorker(port, 'a', { version })
    for (const filter of ['#', '+/b', '$a/+']) await client.subscribe(filter)
    client.send({ ...publish, topic: '$a/b', retain: false })
    await client.ping()
    await settle()
    expect(client.received.map(({ topic }) => topic)).toEqual(['$a/b'])
    expect(messages.map(({ topic }) => topic)).toEqual(['$a/b'])
  })

  test.each([
    ['open', '$SYS/a', false],
    ['open', '$aws/things/a', false],
    ['open', '$share/g/a', false],
    ['open', '$a/b', true],
    ['aws', '$a/b', false],
  ] as const)('in the profile %s, %s with RETAIN %s ends the connection', async (...given) => {
    const [profile, topic, retain] = given
    const { port, messages } = await startIngress(undefined, { profile })
    const client = await openWorker(port, 'a', { version })
    client.send({ ...publish, topic, retain })
    await expect(client.ping()).rejects.toThrow('the connection closed')
    expect(messages).toEqual([])
  })

  test('are not taken over HTTP', async () => {
    const { ingress } = await startIngress(undefined, { profile: 'open' })
    const about = { qos: 0, retain: false, transport: 'http', timestampMs: 0 } as const
    await expect(
      ingress.publish({ topic: '$a/b', payload: Buffer.from('x'), ...about }),
    ).rejects.toMatchObject({ code: 'InvalidRequestException' })
  })
})
