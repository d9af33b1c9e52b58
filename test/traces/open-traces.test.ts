import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import type { Message } from '../../src/message.ts'
import { createMemoryLogger } from '../../src/telemetry/logger.ts'
import { openTraces } from '../../src/traces/open-traces.ts'

const message: Message = {
  topic: 'dt/1',
  payload: Buffer.from('{}'),
  qos: 1,
  retain: false,
  transport: 'mqtt',
  timestampMs: 0,
}

/** A receiver that answers with a status; undefined: it never answers. */
async function receiverWith(status: number | undefined): Promise<string> {
  const server = createServer((_request, response) => {
    if (status !== undefined) response.writeHead(status).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`
}

function tracesTo(url: string, settings: { sampler?: 'always_off'; ratio?: number } = {}) {
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const traces = openTraces(
    { clock: systemClock, logger },
    {
      url,
      protocol: 'http/protobuf',
      sampler: settings.sampler ?? 'parentbased_traceidratio',
      ratio: settings.ratio ?? 1,
    },
  )
  const { messages, records } = traces
  return { messages, records, lines, close: (timeoutMs: number) => traces.close({ timeoutMs }) }
}

test('a receiver that refuses is told once, and the spans are lost', async () => {
  const { messages, close, lines } = tracesTo(await receiverWith(400))
  messages.begin(message, { messageId: 'm1' })
  messages.appending(message, 0, Promise.resolve())
  await close(5_000)
  expect(lines.map(({ msg, spans }) => [msg, spans])).toEqual([
    ['spans could not be sent to the OTLP endpoint, and are lost', 1],
  ])
})

test('a receiver that never answers does not keep the process', async () => {
  const { messages, close } = tracesTo(await receiverWith(undefined))
  messages.begin(message, { messageId: 'm1' })
  messages.appending(message, 0, Promise.resolve())
  const beganMs = systemClock.monotonicMs()
  await close(50)
  expect(systemClock.monotonicMs() - beganMs).toBeLessThan(5_000)
})

const sampledParent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const unsampledParent = sampledParent.replace(/01$/, '00')

test.each([
  { ratio: 1, parent: undefined, isTraced: true },
  { ratio: 0, parent: undefined, isTraced: false },
  { ratio: 0, parent: sampledParent, isTraced: true },
  { ratio: 1, parent: unsampledParent, isTraced: false },
  { ratio: 1, parent: 'no traceparent', isTraced: true },
  { sampler: 'always_off' as const, parent: sampledParent, isTraced: false },
])('$parent with a ratio of $ratio', async ({ parent, isTraced, ...settings }) => {
  const { messages, records, close } = tracesTo('http://127.0.0.1:9/v1/traces', settings)
  onTestFinished(() => close(0))
  const userProperties = parent === undefined ? undefined : [['traceparent', parent] as const]
  const given = { ...message, ...(userProperties && { mqtt5: { userProperties } }) }
  expect(messages.begin(given, { messageId: 'm1' }) !== undefined).toBe(isTraced)
  const facts = { messageId: 'm1', acceptedAtMs: Date.now(), userProperties: () => undefined }
  expect(records.contextOf(facts) !== undefined).toBe(isTraced)
})

test('a record of an earlier process belongs to what the device named', async () => {
  const { records, close } = tracesTo('http://127.0.0.1:9/v1/traces')
  onTestFinished(() => close(0))
  const properties = [['traceparent', sampledParent] as const]
  const facts = { messageId: 'm1', userProperties: () => properties }
  expect(records.contextOf({ ...facts, acceptedAtMs: 0 })?.spanId).toBe('00f067aa0ba902b7')
  expect(records.contextOf({ ...facts, acceptedAtMs: Date.now() })).toBeUndefined()
})

test.each([
  [{}, undefined],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/' }, 'http://c:4318/v1/traces'],
  [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t/x' },
    'http://t/x',
  ],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_SDK_DISABLED: 'true' }, undefined],
])('%j sends traces to %s', (environment, url) => {
  expect(loadConfig(environment, 'lab').traces?.url).toBe(url)
})

test.each([
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, 'http://localhost:4318'],
  [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'http/protobuf or http/json'],
  [{ OTEL_TRACES_SAMPLER_ARG: '2' }, 'a number from 0 to 1'],
])('%j is refused', (environment, form) => {
  expect(() => loadConfig(environment, 'lab')).toThrow(form)
})

const loads = (text: string, what: string) =>
  new RegExp(`^(import (?!type)[^']*?|export [^']*?) from '[^']*${what}`, 'm').test(text)

test('nothing of OpenTelemetry is loaded but by the import of open-traces', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => [file, readFileSync(path.join('src', file), 'utf8')] as const)
  const loading = files.filter(([, text]) => loads(text, '@opentelemetry/')).map(([file]) => file)
  const ofTraces = loading.filter((file) => file.startsWith('traces/'))
  expect(loading).toEqual(ofTraces)
  expect(ofTraces).toContain('traces/open-traces.ts')
  const others = files.filter(([file]) => !file.startsWith('traces/'))
  const names = ofTraces.map((file) => path.basename(file))
  expect(others.filter(([, text]) => names.some((name) => loads(text, `/traces/${name}`)))).toEqual(
    [],
  )
})
