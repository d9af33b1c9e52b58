// `npm run screenshots`: docs/screenshots/ from a lab that this script starts: each page of the
// console at two widths and in two themes. It needs Chromium (or SLUICE_TEST_BROWSER).
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { chromium } from 'playwright-core'
import type { Page } from 'playwright-core'

const root = path.resolve(import.meta.dirname, '..')
const target = path.join(root, 'docs/screenshots')
const executablePath = [
  process.env['SLUICE_TEST_BROWSER'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((file) => file !== undefined && existsSync(file))

const role = (name: string) => `arn:aws:iam::000000000000:role/${name}`
const stream = (streamName: string) => ({
  kinesis: { streamName, partitionKey: '${topic(2)}', roleArn: role('iot-to-kinesis') },
})

const rules = {
  hot_devices: {
    sql: "SELECT temp, topic(2) AS device, timestamp() AS received_at\nFROM 'dt/+/telemetry'\nWHERE temp > 50",
    awsIotSqlVersion: '2016-03-23',
    actions: [stream('hot-devices')],
  },
  all_readings: {
    sql: "SELECT *, topic(2) AS device FROM 'dt/+/telemetry'",
    awsIotSqlVersion: '2016-03-23',
    actions: [stream('readings')],
  },
  alarm_queue: {
    sql: "SELECT * FROM 'dt/+/telemetry' WHERE temp > 75",
    awsIotSqlVersion: '2016-03-23',
    actions: [
      {
        sqs: {
          queueUrl: 'https://sqs.us-east-1.amazonaws.com/000000000000/alarms',
          roleArn: role('iot-to-sqs'),
        },
      },
    ],
  },
  orders: {
    sql: "SELECT * FROM 'orders/#'",
    awsIotSqlVersion: '2016-03-23',
    actions: [stream('orders')],
  },
  door_events: {
    sql: "SELECT state, parse_time('yyyy-MM-dd', timestamp()) AS day FROM 'doors/+/state'",
    awsIotSqlVersion: '2016-03-23',
    actions: [
      {
        kinesis: {
          // A topic has slashes, which the name of a stream may not have.
          streamName: '${topic()}',
          partitionKey: '${topic(2)}',
          roleArn: role('iot-to-kinesis'),
        },
      },
    ],
  },
}

/** Name of the file, the path after /console/, and what is done before the picture is taken. */
const shots: readonly (readonly [string, string, ((page: Page) => Promise<void>)?])[] = [
  ['overview', ''],
  [
    'live',
    'live',
    async (page) => {
      await page.locator('.messages .message').nth(2).click()
    },
  ],
  ['rules', 'rules'],
  ['rule', 'rules/hot_devices'],
  ['try-it', 'try-it/hot_devices'],
  ['streams', 'streams'],
  ['stream', 'streams/readings?from=TRIM_HORIZON'],
  ['functions', 'functions'],
  [
    'dead-letters',
    'dead-letters',
    async (page) => {
      await page.locator('.letters button').first().click()
    },
  ],
  ['clients', 'clients'],
  ['shadows', 'shadows/boiler-1'],
  ['mqtt-client', 'mqtt-client'],
  ['calls', 'calls'],
  ['faults', 'faults'],
]

const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-screenshots-'))
const lab = spawn(process.execPath, [path.join(root, 'bin/sluice.js'), 'lab'], {
  cwd: folder,
  env: {
    ...process.env,
    SLUICE_MQTT_PORT: '0',
    SLUICE_HTTP_PORT: '0',
    SLUICE_LAB_PORT: '0',
    SLUICE_RULES_DIR: folder,
  },
  stdio: ['ignore', 'pipe', 'inherit'],
})
const clients: MqttClient[] = []
try {
  const ports = await readPorts()
  await prepareLab(ports)
  const ending = new AbortController()
  const traffic = publishUntil(ending.signal)
  await takeShots(`http://127.0.0.1:${ports.http}/console/`)
  ending.abort()
  await traffic
} finally {
  await Promise.all(clients.map((client) => client.endAsync(true)))
  lab.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

interface Ports {
  readonly mqtt: number
  readonly http: number
  readonly kinesis: number
}

async function readPorts(): Promise<Ports> {
  for await (const line of createInterface({ input: lab.stdout })) {
    const entry = JSON.parse(line) as Ports & { readonly msg: string }
    if (entry.msg === 'ready') return entry
  }
  throw new Error('the lab has ended before it was ready')
}

async function post(url: string, body: unknown): Promise<void> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
}

/** Rules, things, clients, a refusal of one stream, and a dead letter. */
async function prepareLab({ mqtt, http, kinesis }: Ports): Promise<void> {
  const base = `http://127.0.0.1:${http}`
  for (const [name, rule] of Object.entries(rules)) await post(`${base}/rules/${name}`, rule)
  await post(`${base}/things/boiler-1/shadow`, {
    state: { desired: { setpoint: 62, mode: 'eco' }, reported: { setpoint: 60, mode: 'eco' } },
  })
  await post(`${base}/things/boiler-2/shadow`, { state: { reported: { setpoint: 55 } } })
  await post(`http://127.0.0.1:${kinesis}/_faults`, {
    streamName: 'orders',
    effect: {
      kind: 'error',
      code: 'AccessDeniedException',
      message:
        'User: arn:aws:sts::000000000000:assumed-role/iot-to-kinesis/sluice is not authorized ' +
        'to perform: kinesis:PutRecord on resource: orders',
    },
  })
  for (const number of [1, 2, 3, 4, 5, 6]) {
    const client = await connectAsync(`mqtt://127.0.0.1:${mqtt}`, {
      clientId: `boiler-${number}`,
      protocolVersion: number % 2 === 0 ? 5 : 4,
    })
    await client.subscribeAsync(`cmd/boiler-${number}/#`, { qos: 1 })
    clients.push(client)
  }
  const [first] = clients
  for (const number of [1, 2, 3, 4]) {
    await first?.publishAsync(`orders/${number}`, JSON.stringify({ amount: 12 * number }), {
      qos: 1,
    })
  }
  await first?.publishAsync('doors/7/state', '{"state": "open"}', { qos: 1 })
}

/** A few messages a second from each client, until the pictures are taken. */
async function publishUntil(signal: AbortSignal): Promise<void> {
  let tick = 0
  while (!signal.aborted) {
    tick += 1
    for (const [index, client] of clients.entries()) {
      const temp = Math.round((58 + 22 * Math.sin(tick / 9 + index)) * 10) / 10
      const payload = JSON.stringify({ temp, unit: 'C', seq: tick })
      await client.publishAsync(`dt/boiler-${index + 1}/telemetry`, payload, { qos: 1 })
    }
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}

async function takeShots(base: string): Promise<void> {
  if (executablePath === undefined) throw new Error('there is no Chromium')
  mkdirSync(target, { recursive: true })
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  try {
    for (const [width, height] of [
      [1280, 800],
      [390, 844],
    ] as const) {
      for (const colorScheme of ['light', 'dark'] as const) {
        const context = await browser.newContext({ viewport: { width, height }, colorScheme })
        for (const [name, where, prepare] of shots) {
          const page = await context.newPage()
          await page.goto(base + where)
          await page.getByRole('heading', { level: 1 }).waitFor()
          await page.locator('.loading').waitFor({ state: 'detached' })
          // Two readings make a line of a chart.
          await page.waitForTimeout(name === 'overview' ? 14_000 : 2_500)
          await prepare?.(page)
          const file = `${name}-${width}-${colorScheme}.png`
          await page.screenshot({ path: path.join(target, file) })
          console.log(file)
          await page.close()
        }
        await context.close()
      }
    }
  } finally {
    await browser.close()
  }
}
