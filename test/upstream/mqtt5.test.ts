/** MQTT 5 with a broker that has it: the one of another engine. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connectAsync } from 'mqtt'
import type { IClientPublishOptions } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocketServer, createWebSocketStream } from 'ws'
import { startIngress } from '../ingress/helpers.ts'
import { createHeldIngest, startBroker as startAedes, startUpstream } from './upstream-fixtures.ts'

const environment = {
  SLUICE_UPSTREAM_MQTT_VERSION: '5',
  // As long as that broker keeps it.
  SLUICE_UPSTREAM_SESSION_EXPIRY_S: '3600',
}

async function startBroker() {
  const { ingress, port } = await startIngress()
  const publisher = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5 })
  onTestFinished(() => publisher.endAsync(true))
  const publish = (topic: string, payload: string, options: IClientPublishOptions = {}) =>
    publisher.publishAsync(topic, payload, { qos: 1, ...options })
  return { ingress, port, publish }
}

test('properties are carried into the message', async () => {
  const { port, publish } = await startBroker()
  const engine = await startUpstream({ port, environment })
  await engine.until(engine.isReading)
  await publish('plant/1', 'a', {
    properties: {
      contentType: 'text/plain',
      payloadFormatIndicator: true,
      responseTopic: 'answers/1',
      correlationData: Buffer.from([1, 2]),
      messageExpiryInterval: 60,
      userProperties: { unit: 'C', tag: ['x', 'y'] },
    },
  })
  await publish('plant/1', 'b')
  await engine.until(() => engine.ingested.length === 2)
  expect(engine.ingested[0]?.mqtt5).toEqual({
    contentType: 'text/plain',
    payloadFormatIndicator: 1,
    responseTopic: 'answers/1',
    correlationData: Buffer.from([1, 2]),
    // The broker counts the time in which it had the message.
    messageExpirySeconds: expect.toSatisfy((left: number) => left >= 50 && left <= 60) as number,
    userProperties: [
      ['unit', 'C'],
      ['tag', 'x'],
      ['tag', 'y'],
    ],
  })
  expect(engine.ingested[1]?.mqtt5).toBeUndefined()
})

test('the broker sends no more than may be unacknowledged, and keeps the rest', async () => {
  const { port, publish } = await startBroker()
  const held = createHeldIngest()
  const first = await startUpstream({
    port,
    ingest: held.ingest,
    environment: { ...environment, SLUICE_UPSTREAM_UNACKNOWLEDGED_MAX: '3' },
  })
  await first.until(first.isReading)
  for (const number of ['1', '2', '3', '4', '5']) await publish('plant/1', number)
  await held.untilTaken(3)
  held.taken[0]?.resolve()
  await held.untilTaken(4)
  expect(held.payloads()).toEqual(['1', '2', '3', '4'])
  const closed = first.upstream.close({ drainMs: 10 })
  first.clock.advance(10)
  await closed

  const { directory } = first
  const second = await startUpstream({ port, environment, directory })
  await second.until(() => second.ingested.length === 4)
  expect(second.payloads()).toEqual(['2', '3', '4', '5'])
})

test('the engines of a group share the messages', async () => {
  const { port, publish } = await startBroker()
  const shared = { ...environment, SLUICE_UPSTREAM_SHARE_GROUP: 'sluice' }
  const engines = [
    await startUpstream({ port, environment: shared }),
    await startUpstream({ port, environment: shared }),
  ]
  for (const engine of engines) await engine.until(engine.isReading)
  const numbers = Array.from({ length: 20 }, (_, index) => String(index))
  for (const number of numbers) await publish('plant/1', number)
  const all = () => engines.flatMap((engine) => engine.payloads())
  await engines[0]?.until(() => all().length === 20)
  expect(all().toSorted()).toEqual(numbers.toSorted())
  expect(engines.map(({ ingested }) => ingested.length > 0)).toEqual([true, true])
})

test('two engines with one client id take turns, and say why', async () => {
  const { port } = await startBroker()
  const options = { port, environment: { ...environment, SLUICE_UPSTREAM_CLIENT_ID: 'same' } }
  const first = await startUpstream(options)
  await first.until(first.isReading)
  const second = await startUpstream(options)
  await second.until(second.isReading)
  await first.until(() => first.warnings().length > 0)
  expect(first.warnings()[0]).toMatch(/another client has connected with the client id same: give/)
})

test('a session that is kept for less time than asked for is told of', async () => {
  const { port } = await startBroker()
  const engine = await startUpstream({
    port,
    environment: { ...environment, SLUICE_UPSTREAM_SESSION_EXPIRY_S: '86400' },
  })
  await engine.until(engine.isReading)
  expect(engine.warnings()).toEqual([
    'the upstream broker keeps the session for less time than it was asked for',
  ])
  expect(engine.lines.find(({ level }) => level === 'warn')).toMatchObject({
    expirySeconds: 3_600,
    asked: 86_400,
  })
})

test('over WebSocket messages are read, too', async () => {
  const broker = await startAedes()
  const server = createServer()
  const sockets = new WebSocketServer({ server, path: '/mqtt' })
  sockets.on('connection', (socket) => {
    broker.aedes.handle(createWebSocketStream(socket).on('error', () => undefined))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const engine = await startUpstream({ port, protocol: 'ws' })
  await engine.until(engine.isReading)
  await broker.publish('plant/1', 'a')
  await engine.until(() => broker.acknowledged.length === 1)
  expect(engine.payloads()).toEqual(['a'])
})

test('over WebSocket a path that serves no MQTT is told apart', async () => {
  const server = createServer((_request, response) => response.writeHead(404).end())
  server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 404 Not Found\r\n\r\n'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const engine = await startUpstream({ port, protocol: 'ws', environment })
  await engine.until(() => engine.warnings().length > 0)
  expect(engine.warnings()[0]).toMatch(/it serves no MQTT over WebSocket at this path: /)
})
