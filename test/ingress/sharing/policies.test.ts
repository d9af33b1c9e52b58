import { describe, expect, test } from 'vitest'
import { allow, startGuarded } from '../guarded-ingress.ts'
import { settle } from '../helpers.ts'
import { openWorker } from './worker.ts'

const connects = allow('Connect', '*')
const refused = 0x80

const started = (...statements: readonly unknown[]) =>
  startGuarded({ policies: { everyone: { statements: [connects, ...statements] } } })

const message = (topic: string, qos: 0 | 1 = 1) =>
  ({
    topic,
    payload: Buffer.from(topic),
    qos,
    retain: false,
    transport: 'http',
    timestampMs: 0,
  }) as const

describe('iot:Subscribe of a shared subscription', () => {
  const rows: readonly [resource: string, granted: number][] = [
    ['topicfilter/$share/g/jobs/+', 1],
    ['topicfilter/$share/*/jobs/+', 1],
    ['topicfilter/jobs/+', refused],
    ['topicfilter/$share/other/*', refused],
  ]
  test.each(rows)('is checked with the prefix: %s', async (resource, granted) => {
    const { port } = await started(allow('Subscribe', resource))
    const worker = await openWorker(port, 'a')
    expect(await worker.subscribe('$share/g/jobs/+')).toBe(granted)
  })
})

describe('iot:Receive of a shared subscription', () => {
  test.each([['topic/${iot:ClientId}/*'], ['topic/$share/*/${iot:ClientId}/*']])(
    'lets messages go to the members that may have them: %s',
    async (resource) => {
      const { port, ingress } = await started(allow('Subscribe', '*'), allow('Receive', resource))
      const workers = [await openWorker(port, 'a'), await openWorker(port, 'b', { version: 5 })]
      for (const each of workers) await each.subscribe('$share/g/#')
      for (const topic of ['a/1', 'b/1', 'nobody/1', 'a/2', 'b/2']) {
        await ingress.publish(message(topic))
        await ingress.publish(message(topic, 0))
      }
      await settle()
      expect(workers.map((worker) => worker.payloads())).toEqual([
        ['a/1', 'a/1', 'a/2', 'a/2'],
        ['b/1', 'b/1', 'b/2', 'b/2'],
      ])
    },
  )

  test('a message that no connected member may have waits for one who is away', async () => {
    const { port, ingress, metric } = await started(
      allow('Subscribe', '*'),
      allow('Receive', 'topic/${iot:ClientId}/*'),
    )
    const away = await openWorker(port, 'a', { clean: false })
    await away.subscribe('$share/g/#')
    await away.leave()
    const here = await openWorker(port, 'b')
    await here.subscribe('$share/g/#')
    for (const topic of ['a/1', 'b/1', 'nobody/1']) await ingress.publish(message(topic))
    await here.has(1)
    expect(here.payloads()).toEqual(['b/1'])
    const back = await openWorker(port, 'a', { clean: false })
    await back.has(1)
    expect(back.payloads()).toEqual(['a/1'])
    for (const worker of [here, back]) {
      for (const packet of worker.received) await worker.acknowledge(packet)
    }
    expect(await metric('mqttQueuedBytes')).toBe(0)
  })
})
