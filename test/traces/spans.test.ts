import { SpanStatusCode } from '@opentelemetry/api'
import type { SpanContext } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { expect, test } from 'vitest'
import { createBoundedMap } from '../../src/base/bounded-map.ts'
import type { Message } from '../../src/message.ts'
import { createBatchSpans } from '../../src/traces/create-batch-spans.ts'
import { createMessageSpans } from '../../src/traces/create-message-spans.ts'
import { createRecordSpans } from '../../src/traces/create-record-spans.ts'
import { messageWith } from '../helpers/messages.ts'

/** The spans of messages, records and batches, with a way to read those that have ended. */
function spansInMemory() {
  const exporter = new InMemorySpanExporter()
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] })
  const tracer = provider.getTracer('test')
  const contexts = createBoundedMap<string, SpanContext>(100)
  const positions = createBoundedMap<string, SpanContext>(100)
  const messages = createMessageSpans({ tracer, contexts })
  const records = createRecordSpans({ tracer, contexts, positions, startedAtMs: 0 })
  const batches = createBatchSpans({ tracer, positions })

  /** `<name> < <name of its parent>`, with the code of a failure. */
  const ended = () => {
    const all = exporter.getFinishedSpans()
    const names = new Map(all.map((span) => [span.spanContext().spanId, span.name]))
    return all.map(({ name, parentSpanContext, status, attributes }) => {
      const parent = parentSpanContext && names.get(parentSpanContext.spanId)
      const failure = status.code === SpanStatusCode.ERROR ? attributes['error.type'] : undefined
      return [name, ...(parent ? ['<', parent] : []), failure].filter(Boolean).join(' ')
    })
  }
  return { messages, records, batches, ended }
}

function recordOf({ records }: ReturnType<typeof spansInMemory>, messageId: string) {
  const facts = { messageId, acceptedAtMs: 1, userProperties: () => undefined }
  const context = records.contextOf(facts)
  if (context === undefined) throw new Error(`${messageId} is not traced`)
  return { key: messageId, context, acceptedAtMs: 1, ruleName: 'a', actionIndex: 0, bytes: 1 }
}

const destination = { kind: 'kinesis', name: 's' }
const call = { destination, operation: 'PutRecords', recordCount: 1 }

test('a republished message is below the rule that republished it', () => {
  const { messages, ended } = spansInMemory()
  const [first, second] = ['a/b', 'c'].map((topic): Message => messageWith({ topic })) as [
    Message,
    Message,
  ]
  const trace = messages.begin(first, { messageId: '1', filter: 'a/#' })
  const rule = trace?.beginRule('r')
  rule?.republishes(second)
  rule?.ended({ matched: true })
  trace?.ended()
  messages.begin(second, { messageId: '2', filter: 'c' })?.ended()
  messages.appending(first, 0, Promise.resolve())
  expect(ended()).toEqual(['rule r < process a/#', 'process c < rule r', 'process a/#'])
})

test('a message ends when its records are on disk, or cannot be', async () => {
  const { messages, ended } = spansInMemory()
  const message = messageWith()
  messages.begin(message, { messageId: '1' })?.ended()
  const durable = Promise.reject(new Error('the disk is full'))
  messages.appending(message, 2, durable)
  expect(ended()).toEqual([])
  await durable.catch(() => undefined)
  expect(ended()).toEqual(['append outbox < process unknown', 'process unknown'])
})

test('a record that is sent again is one span, with one for each call', () => {
  const made = spansInMemory()
  made.messages.begin(messageWith(), { messageId: '1' })
  const record = recordOf(made, '1')
  made.records.call(call, [record])({ failure: 'TimeoutError', records: [] })
  const refused = { ok: false, failure: 'InternalFailure' }
  made.records.call(call, [record])({ records: [refused] })
  const taken = { ok: true, shardId: 'shardId-0', sequenceNumber: '7' }
  made.records.call(call, [record])({ records: [taken] })
  const invoked = made.batches.invocation({
    streamName: 's',
    shardId: 'shardId-0',
    functionName: 'f',
    mapping: 'm',
    sequenceNumbers: ['6', '7'],
  })
  invoked?.('TypeError')
  expect(made.ended()).toEqual([
    'send s < create s TimeoutError',
    'send s < create s InternalFailure',
    'send s < create s',
    'create s',
    'invoke f < process s TypeError',
    'process s < create s TypeError',
  ])
})

test('a record that is given up says why', () => {
  const made = spansInMemory()
  made.messages.begin(messageWith(), { messageId: '1' })
  made.records.givenUp(destination, recordOf(made, '1'), 'AccessDeniedException')
  expect(made.ended()).toEqual(['create s AccessDeniedException'])
})
