import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readStream } from '../helpers/read-stream.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

const roleArn = (name: string) => `arn:aws:iam::000000000000:role/${name}`
const kinesis = (streamName: string, role: string) => ({
  kinesis: { roleArn: roleArn(role), streamName, partitionKey: '${clientid()}' },
})
/** Given up as soon as STS refuses the role. */
const impatient = { delivery: { actions: { '0': { retry: { maxAgeMs: 0 } } } } }

const files = {
  'handed.json': {
    sql: "SELECT * FROM 'handed/+'",
    awsIotSqlVersion: '2016-03-23',
    actions: [kinesis('unreachable', 'refused')],
    errorAction: { republish: { roleArn: roleArn('write'), topic: 'errors/${topic(2)}', qos: 1 } },
  },
  'handed.meta.json': impatient,
  'errors.json': {
    sql: "SELECT ruleName, failures FROM 'errors/#'",
    awsIotSqlVersion: '2016-03-23',
    actions: [kinesis('errors', 'write')],
  },
  // Settings made for AWS do not lead out of the lab.
  'errors.meta.json': { delivery: { defaults: { endpoint: 'http://192.0.2.1:9' } } },
  'buried.json': {
    sql: "SELECT n FROM 'buried/+'",
    awsIotSqlVersion: '2016-03-23',
    actions: [kinesis('unreachable', 'refused')],
  },
  'buried.meta.json': impatient,
}

describe('records whose stream cannot be reached, in `sluice lab`', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let sluice: SluiceProcess
  let client: KinesisClient
  let device: MqttClient
  let http: string
  let lab: string

  beforeAll(async () => {
    folder = await temporaryFolder()
    const rulesDir = path.join(folder.path, 'rules')
    await mkdir(rulesDir)
    for (const [name, document] of Object.entries(files)) {
      await writeFile(path.join(rulesDir, name), JSON.stringify(document))
    }
    sluice = startSluice(['lab'], {
      SLUICE_DATA_DIR: path.join(folder.path, 'data'),
      SLUICE_RULES_DIR: rulesDir,
    })
    const ports = (await sluice.ready()) as unknown as Record<string, number>
    http = `http://127.0.0.1:${ports['http']}`
    lab = `http://127.0.0.1:${ports['kinesis']}`
    client = new KinesisClient({
      region: 'us-east-1',
      endpoint: lab,
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    })
    device = await connectAsync(`mqtt://127.0.0.1:${ports['mqtt']}`, { clientId: 'device' })
    const effect = { kind: 'error', code: 'AccessDenied', message: 'not authorized' }
    await call(`${lab}/_faults`, { operation: 'AssumeRole', roleArn: roleArn('refused'), effect })
  })

  afterAll(async () => {
    await device.endAsync()
    client.destroy()
    sluice.kill('SIGKILL')
    await sluice.ended
    await folder.remove()
  })

  test('reach the error action, and what it republishes reaches rules and subscribers', async () => {
    await device.subscribeAsync('errors/+', { qos: 1 })
    const received = new Promise<unknown>((resolve) => {
      device.once('message', (topic, payload) => resolve([topic, JSON.parse(payload.toString())]))
    })
    await device.publishAsync('handed/7', '{"n":1}', { qos: 1 })
    const failures = [
      {
        failedAction: 'KinesisAction',
        failedResource: 'unreachable',
        errorMessage: expect.stringContaining('AccessDenied') as string,
      },
    ]
    expect(await received).toEqual([
      'errors/7',
      {
        ruleName: 'handed',
        topic: 'handed/7',
        cloudwatchTraceId: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        clientId: 'device',
        base64OriginalPayload: Buffer.from('{"n":1}').toString('base64'),
        failures,
      },
    ])
    const [record] = await readStream(client, 'errors', 1)
    expect(JSON.parse(record?.data.toString() ?? '')).toEqual({ ruleName: 'handed', failures })
    // A republished message has the client id of none.
    expect(record?.partitionKey).toBe('n/a')
    expect(await call(`${http}/v1/rules/handed/stats`)).toMatchObject({
      actions: [{ action: 0, accepted: 1, delivered: 1, handedOver: 1, queued: 0 }],
    })
  })

  test('become dead letters without an error action, and are replayed in order', async () => {
    for (const n of [1, 2, 3]) {
      await device.publishAsync('buried/7', JSON.stringify({ n }), { qos: 1 })
    }
    const deadLetters = () => call(`${http}/v1/dead-letters?ruleName=buried`)
    await expect.poll(deadLetters).toMatchObject({ deadLetters: [{}, {}, {}] })

    await fetch(`${lab}/_faults`, { method: 'DELETE' })
    const replay = { ruleName: 'buried', how: 'asIs' }
    expect(await call(`${http}/v1/dead-letters/replay`, replay)).toEqual({ replayed: 3, kept: 0 })
    const records = await readStream(client, 'unreachable', 3)
    expect(records.map(({ data }) => data.toString())).toEqual(['{"n":1}', '{"n":2}', '{"n":3}'])
    await expect
      .poll(() => call(`${http}/v1/rules/buried/stats`))
      .toMatchObject({ actions: [{ accepted: 3, delivered: 3, queued: 0, deadLettered: 0 }] })
  })
})

/** A GET, or a POST when there is a body. */
async function call(url: string, body?: object): Promise<unknown> {
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
  return (await fetch(url, init)).json()
}
