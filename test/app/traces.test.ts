import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { startLab } from './lab-fixtures.ts'

/** A span in OTLP's JSON form (opentelemetry/proto/trace/v1/trace.proto). */
interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly attributes: readonly { readonly key: string; readonly value: object }[]
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly status: { readonly code?: number }
}

interface Exported {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Span['attributes'] }
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[]
  }[]
}

/** A receiver of OTLP/HTTP with JSON. */
async function startReceiver() {
  const spans: Span[] = []
  const arrived = new EventTarget()
  const server = createServer((request, response) => {
    void (async () => {
      const { resourceSpans } = (await json(request)) as Exported
      for (const { scopeSpans } of resourceSpans) {
        for (const scope of scopeSpans) spans.push(...scope.spans)
      }
      response.setHeader('content-type', 'application/json').end('{}')
      arrived.dispatchEvent(new Event('spans'))
    })()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    until: async (isThere: () => boolean): Promise<void> => {
      while (!isThere()) await once(arrived, 'spans')
    },
  }
}

const traceIds = ['4bf92f3577b34da6a3ce929d0e0e4736', '0af7651916cd43dd8448eb211c80319c'] as const
const remoteSpanId = '00f067aa0ba902b7'

test('one trace from the traceparent of a PUBLISH to the function of a mapping', async () => {
  const { endpoint, spans, until } = await startReceiver()
  const lab = await startLab(onTestFinished, () => ({
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    // Both messages leave in one call.
    SLUICE_DELIVERY_BATCH_PERIOD_MS: '300',
  }))
  const roleArn = 'arn:aws:iam::000000000000:role/any'
  await lab.createRule('hot', {
    sql: "SELECT temp FROM 'pump/+/telemetry' WHERE temp > 50",
    actions: [{ kinesis: { streamName: 'hot-devices', partitionKey: 'key-${temp}', roleArn } }],
  })
  const client = await connectAsync(lab.mqttUrl, { protocolVersion: 5, clientId: 'pump' })
  onTestFinished(() => client.endAsync(true))
  await Promise.all(
    traceIds.map((traceId) =>
      client.publishAsync('pump/7/telemetry', '{"temp": 61.5}', {
        qos: 1,
        properties: { userProperties: { traceparent: `00-${traceId}-${remoteSpanId}-01` } },
      }),
    ),
  )
  const named = (name: string) => spans.filter((span) => span.name === name)
  await until(() => named('invoke print_readings').length > 0)

  const [first, second] = traceIds.map((traceId) => {
    const of = new Map(spans.filter((span) => span.traceId === traceId).map((s) => [s.name, s]))
    const idOf = (name: string) => of.get(name)?.spanId
    const process = 'process pump/+/telemetry'
    expect(of.get(process)?.parentSpanId).toBe(remoteSpanId)
    for (const [name, parent] of [
      ['rule hot', process],
      ['append outbox', process],
      ['create hot-devices', process],
      ['process hot-devices', 'create hot-devices'],
    ] as const) {
      expect([name, of.get(name)?.parentSpanId]).toEqual([name, idOf(parent)])
    }
    return of
  })
  // What both share is in the first trace, with links both ways.
  for (const [shared, own] of [
    ['send hot-devices', 'create hot-devices'],
    ['invoke print_readings', 'process hot-devices'],
  ] as const) {
    const [span, ...more] = named(shared)
    expect([shared, more]).toEqual([shared, []])
    expect(span?.parentSpanId).toBe(first?.get(own)?.spanId)
    expect(span?.links.map(({ spanId }) => spanId)).toEqual([second?.get(own)?.spanId])
    expect(second?.get(own)?.links.map(({ spanId }) => spanId)).toEqual([span?.spanId])
  }
  // Neither the payload nor the partition key that is made of it.
  expect(JSON.stringify(spans)).not.toContain('61.5')
  expect(JSON.stringify(named('send hot-devices')[0]?.attributes)).toContain('"PutRecords"')
})
