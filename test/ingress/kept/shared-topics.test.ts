import { expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { followRetained } from '../../../src/ingress/kept/follow-retained.ts'
import { createRetainedMessages } from '../../../src/ingress/kept/retained-messages.ts'
import { createSharedTopics } from '../../../src/ingress/kept/shared-topics.ts'
import { createLimitedLog } from '../../../src/telemetry/limited-log.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createMemoryStore } from '../../cluster/state/memory-state.ts'
import { settle } from '../helpers.ts'

const keyOf = (topic: string) => `topic.${topic}`

/** Writes texts; `undefined` clears a topic. */
function join() {
  const clock = systemClock
  const values = createMemoryStore(clock).connect()
  const logger = createMemoryLogger(() => undefined)
  const table = createRetainedMessages(clock, { retainedMax: 100, retainedBytesMax: 100_000 })
  const topics = createSharedTopics<string | undefined>({
    table,
    keyOf,
    write: (topic, text) =>
      text === undefined
        ? values.unset(keyOf(topic))
        : values.set(keyOf(topic), Buffer.from(`${topic} ${text}`)),
  })
  followRetained({
    values,
    clock,
    logger,
    log: createLimitedLog({ logger, clock }),
    topics,
    decode(value) {
      const [topic = '', text = ''] = value.toString().split(' ')
      return { topic, payload: Buffer.from(text), qos: 1, lastModifiedMs: 0 }
    },
  })
  return { topics, table, faults: values.faults }
}

test('a topic is forgotten when the store has told what was written of it', async () => {
  const { topics, table, faults } = join()
  await topics.write('a', '1').done
  await topics.write('b', undefined).done
  await topics.write('b', undefined).done
  await settle()
  expect([topics.unsettledCount, table.count]).toEqual([0, 1])
  await topics.write('a', undefined).done
  await settle()
  expect([topics.unsettledCount, table.count]).toEqual([0, 0])

  faults.disconnect()
  await topics.write('a', '2').done.catch(() => undefined)
  await topics.write('c', undefined).done.catch(() => undefined)
  expect([topics.unsettledCount, table.count]).toEqual([0, 0])
  faults.reconnect()
  const writes = ['1', undefined, undefined, '2', undefined].map((text) => topics.write('d', text))
  await Promise.all(writes.map(({ done }) => done))
  await settle()
  expect([topics.unsettledCount, table.count]).toEqual([0, 0])
})
