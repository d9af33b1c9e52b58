import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { apiKeys, startScriptedBroker } from '../kafka/scripted-broker.ts'
import type { Script } from '../kafka/scripted-broker.ts'

const password = 'the-password-of-the-device'

async function startLab(script: Script) {
  const broker = await startScriptedBroker(script)
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-kafka-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const rules = path.join(folder, 'rules')
  await mkdir(rules)
  const kafka = {
    destinationArn: 'arn:aws:iot:eu-west-1:123456789012:ruledestination/vpc/x',
    topic: 'readings',
    key: '${topic(2)}',
    clientProperties: {
      'bootstrap.servers': broker.server,
      'security.protocol': 'SASL_PLAINTEXT',
      'sasl.mechanism': 'PLAIN',
      'sasl.plain.username': 'device',
      'sasl.plain.password': password,
    },
  }
  const rule = { sql: "SELECT * FROM 'dt/+'", awsIotSqlVersion: '2016-03-23', actions: [{ kafka }] }
  await writeFile(path.join(rules, 'readings.json'), JSON.stringify(rule))
  const config = loadConfig(
    {
      SLUICE_DATA_DIR: path.join(folder, 'data'),
      SLUICE_RULES_DIR: rules,
      SLUICE_FUNCTIONS_DIR: path.join(folder, 'functions'),
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_LAB_PORT: '0',
      SLUICE_DRAIN_MS: '100',
    },
    'lab',
  )
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const app = await startApp({ config, logger, clock: systemClock })
  const stopped = { before: false }
  const stop = async () => {
    if (!stopped.before) await app.stop()
    stopped.before = true
  }
  onTestFinished(stop)
  const device = await connectAsync(`mqtt://127.0.0.1:${app.ports.mqtt}`, { reconnectPeriod: 0 })
  onTestFinished(() => device.endAsync(true))
  const call = async (method: string, at: string, body?: object) => {
    const url = `http://127.0.0.1:${app.ports.http}${at}`
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(url, {
      method,
      ...(body && { headers, body: JSON.stringify(body) }),
    })
    const document: unknown = await answer.json()
    return document
  }
  const publish = (n: number) => device.publishAsync('dt/d7', JSON.stringify({ n }), { qos: 1 })
  const stats = () => call('GET', '/v1/rules/readings/stats')
  return { broker, lines, call, publish, stats, stop }
}

test('a record that the broker refuses is a dead letter, which is replayed', async () => {
  let isRefusing = true
  const { lines, call, publish, stats } = await startLab({
    produceError: () => (isRefusing ? 10 : 0),
  })
  await publish(1)
  await expect.poll(stats).toMatchObject({ actions: [{ deadLettered: 1, queued: 0 }] })
  const letters = await call('GET', '/v1/dead-letters')
  expect(letters).toMatchObject({
    deadLetters: [
      {
        reason: { code: 'MESSAGE_TOO_LARGE' },
        destination: { kind: 'kafka', target: 'readings' },
        call: { operation: 'Produce', parameters: { topic: 'readings', key: 'd7' } },
      },
    ],
  })
  isRefusing = false
  await call('POST', '/v1/dead-letters/replay', { how: 'asIs' })
  await expect.poll(stats).toMatchObject({ actions: [{ deadLettered: 0, delivered: 1 }] })
  expect(JSON.stringify([lines, letters])).not.toContain(password)
})

test('records wait while the broker refuses the user, and nobody shows the password', async () => {
  const { lines, call, publish, stats } = await startLab({ produceError: () => 29 })
  await publish(1)
  const refusals = () => lines.filter((line) => JSON.stringify(line).includes('TOPIC_AUTH'))
  await expect.poll(() => refusals().length).toBeGreaterThan(0)
  expect(await stats()).toMatchObject({ actions: [{ queued: 1 }] })
  const outbox = await call('GET', '/v1/outbox')
  expect(outbox).toMatchObject({
    destinations: [{ kind: 'kafka', target: 'readings', records: 1 }],
  })
  expect(JSON.stringify([lines, outbox])).not.toContain(password)
})

test('a lab stops while a broker says nothing', async () => {
  const { broker, publish, stop } = await startLab({
    on: ({ apiKey }) => apiKey === apiKeys.produce,
  })
  await publish(1)
  await expect.poll(() => broker.requests).toContain(apiKeys.produce)
  const closed = [...broker.sockets].map(
    (socket) => new Promise((resolve) => socket.once('close', resolve)),
  )
  await stop()
  await Promise.all(closed)
})
