import { expect, test } from 'vitest'
import { createRedaction } from '../../src/redaction/redaction.ts'
import { createMessageWatch } from '../../src/watch/message-watch.ts'
import type { WatchEvent } from '../../src/watch/watch-event.ts'
import { engineWith, kinesis, ruleWith } from '../helpers/engine-parts.ts'
import { messageWith } from '../helpers/messages.ts'

test('a record that is dropped for want of room is told of, and not as durable', async () => {
  const told: WatchEvent[] = []
  const { engine } = engineWith(
    [
      ruleWith('full', "SELECT * FROM 'a/b'", [kinesis({ streamName: 'full' })]),
      ruleWith('free', "SELECT * FROM 'a/b' WHERE n = 2", [kinesis({ streamName: 'free' })]),
    ],
    {
      hasNoRoom: ({ ruleName }) => ruleName === 'full',
      watch(clock) {
        const watch = createMessageWatch({ clock, redaction: createRedaction(['secret']) })
        watch.watch({}, (event) => told.push(event))
        return watch
      },
    },
  )
  for (const n of [1, 2]) {
    await engine.ingest(messageWith({ qos: 0, payload: { n, secret: 'full' } }))
  }
  const shown = told.map((event) =>
    event.name === 'failed'
      ? `${event.data.ruleName} ${event.data.destination} ${event.data.followedBy}`
      : event.name,
  )
  expect(shown).toEqual([
    'message',
    'full [redacted] nothing',
    'message',
    'full [redacted] nothing',
    'durable',
  ])
})

test('what has room is durable', async () => {
  const told: WatchEvent[] = []
  const { engine } = engineWith([ruleWith('free', "SELECT * FROM 'a/b'", [kinesis()])], {
    hasNoRoom: () => true,
    watch(clock) {
      const watch = createMessageWatch({ clock })
      watch.watch({}, (event) => told.push(event))
      return watch
    },
  })
  // Whoever waits for an answer waits for room as well.
  await engine.ingest(messageWith({ qos: 1 }))
  expect(told.map(({ name }) => name)).toEqual(['message', 'durable'])
})
