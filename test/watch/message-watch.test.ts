import { describe, expect, test } from 'vitest'
import { createMessageWatch } from '../../src/watch/message-watch.ts'
import type { WatchFilter, WatchOptions } from '../../src/watch/message-watch.ts'
import type { WatchEvent } from '../../src/watch/watch-event.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

const empty: Buffer = Buffer.alloc(0)

const noBytes: Buffer = Buffer.alloc(0)

/** A watch, and a way to see a message through it as the engine and the delivery would. */
function watchWith() {
  const clock = createManualClock()
  const watch = createMessageWatch({ clock })
  const see = (
    messageId: string,
    { topic = 'a/b', clientId = 'pump', rules = ['r'], payload = noBytes } = {},
  ): void => {
    const tell = watch.begin({ topic, clientId }, rules)
    tell?.(
      { messageId, at: '', topic, clientId, qos: 1, bytes: payload.length, rules: [] },
      payload,
    )
  }
  const look = (filter: WatchFilter = {}, options?: WatchOptions) => {
    const seen: WatchEvent[] = []
    const watching = watch.watch(filter, (event) => seen.push(event), options)
    return {
      ...watching,
      seen,
      names: () => seen.map(({ name, data }) => `${name} ${data.messageId}`),
    }
  }
  return { clock, watch, see, look }
}

const delivered = (messageId: string, ruleName = 'r') => ({
  messageId,
  latencyMs: 1,
  ruleName,
  actionIndex: 0,
  kind: 'kinesis',
  destination: 'stream',
  callRecords: 1,
})

test('nothing is asked for while nobody watches, and nothing is kept afterwards', () => {
  const { watch, see, look } = watchWith()
  expect(watch.active).toBe(false)
  const first = look()
  expect(watch.active).toBe(true)
  see('1')
  expect(watch.path('1')).toMatchObject({ message: { messageId: '1' }, records: [] })
  first.end()
  expect(watch.active).toBe(false)
  expect(watch.path('1')).toBeUndefined()
})

test('a path grows with what becomes of the message', () => {
  const { watch, see, look } = watchWith()
  const { names } = look()
  see('1')
  watch.durable({ messageId: '1', latencyMs: 1 })
  watch.durable({ messageId: '1', latencyMs: 2 })
  watch.delivered(delivered('1'))
  watch.delivered(delivered('unseen'))
  expect(names()).toEqual(['message 1', 'durable 1', 'delivered 1'])
  expect(watch.path('1')).toMatchObject({
    durable: { latencyMs: 1 },
    records: [{ destination: 'stream' }],
  })
})

test.each<[WatchFilter, readonly string[]]>([
  [{}, ['1', '2', '3', '5']],
  [{ topic: '$aws/#' }, ['4', '5']],
  [{ topic: 'a/+' }, ['1', '2']],
  [{ clientId: 'pump' }, ['1', '3', '5']],
  [{ ruleName: 's' }, ['2']],
  [{ topic: 'a/#', clientId: 'pump' }, ['1']],
])('%j lets pass %j', (filter, passing) => {
  const { see, look } = watchWith()
  const { names } = look(filter)
  see('1')
  see('2', { clientId: 'fan', rules: ['r', 's'] })
  see('3', { topic: 'b' })
  see('4', { topic: '$aws/events/a', rules: [] })
  see('5', { topic: '$aws/events/b', rules: ['e'] })
  expect(names()).toEqual(passing.map((id) => `message ${id}`))
})

test('a watcher of one rule is told of no record of another', () => {
  const { watch, see, look } = watchWith()
  const { names } = look({ ruleName: 's' })
  see('1', { rules: ['r', 's'] })
  watch.delivered(delivered('1', 'r'))
  watch.delivered(delivered('1', 's'))
  expect(names()).toEqual(['message 1', 'delivered 1'])
})

test.each<[Buffer, object]>([
  [Buffer.from('{"a": 1.0}'), { payload: '{"a": 1.0}' }],
  [Buffer.from('\uFEFFä\u0000'), { payload: '\uFEFFä\u0000' }],
  [Buffer.alloc(0), { payload: '' }],
  [Buffer.from([0xff, 0x00]), { payloadBase64: '/wA=' }],
  [Buffer.alloc(131_072, 'x'), { payload: 'x'.repeat(131_072) }],
  [Buffer.alloc(131_073, 'x'), { payloadLeftOut: 'long' }],
])('a payload is shown to those who ask for it, and not kept', (payload, shown) => {
  const { watch, see, look } = watchWith()
  const [asking, other] = [look({}, { withPayloads: true }), look()]
  see('1', { payload })
  const message = {
    messageId: '1',
    at: '',
    topic: 'a/b',
    clientId: 'pump',
    qos: 1,
    bytes: payload.length,
    rules: [],
  }
  expect(asking.seen).toEqual([{ name: 'message', data: { ...message, ...shown } }])
  expect(other.seen).toEqual([{ name: 'message', data: message }])
  expect(watch.path('1')?.message).toEqual(message)
})

describe('bounds', () => {
  test('a watcher is shown 1 MiB of payloads a second', () => {
    const { clock, see, look } = watchWith()
    const { seen } = look({}, { withPayloads: true })
    const payload = Buffer.alloc(131_072, 'x')
    const shown = { data: { payload: payload.toString() } }
    for (let count = 0; count < 9; count++) see(`${count}`, { payload })
    expect(seen).toMatchObject([
      ...Array.from({ length: 8 }, () => shown),
      { data: { payloadLeftOut: 'budget' } },
    ])
    clock.advance(1_000)
    see('later', { payload })
    expect(seen.at(-1)).toMatchObject(shown)
  })

  test.each<[WatchFilter, number]>([
    [{}, 100],
    [{ topic: '#' }, 1_000],
  ])('%j shows %i messages a second and counts the others', (filter, perSecond) => {
    const { clock, see, look } = watchWith()
    const watcher = look(filter)
    for (let count = 0; count < perSecond + 7; count++) see(`${count}`)
    expect(watcher.names()).toHaveLength(perSecond)
    expect(watcher.takeLeftOut()).toBe(7)
    expect(watcher.takeLeftOut()).toBe(0)
    clock.advance(1_000)
    see('later')
    expect(watcher.names().at(-1)).toBe('message later')
  })

  test('one watcher does not use up what another may see', () => {
    const { see, look } = watchWith()
    const [one, other] = [look(), look({ topic: '#' })]
    for (let count = 0; count < 200; count++) see(`${count}`)
    expect([one.names().length, other.names().length]).toEqual([100, 200])
  })

  test('the oldest paths are forgotten', () => {
    const { clock, watch, see, look } = watchWith()
    look({ topic: '#' })
    for (let count = 0; count <= 10_000; count++) {
      if (count % 1_000 === 0) clock.advance(1_000)
      see(`${count}`)
    }
    expect([watch.path('0'), watch.path('1') === undefined]).toEqual([undefined, false])
  })

  test('a message that was asked for is not told when the last watcher has gone', () => {
    const { watch, look } = watchWith()
    const watcher = look()
    const tell = watch.begin({ topic: 'a' }, [])
    watcher.end()
    tell?.({ messageId: '1', at: '', topic: 'a', qos: 0, bytes: 0, rules: [] }, empty)
    expect([watcher.names(), watch.path('1')]).toEqual([[], undefined])
  })
})
