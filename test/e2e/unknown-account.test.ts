import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import path from 'node:path'
import { connectAsync } from 'mqtt'
import type { MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createLabServer } from '../../src/lab/server/lab-server.ts'
import type { LabServer } from '../../src/lab/server/lab-server.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

const accountId = '210987654321'

/** What everybody may do: all but publishing to the secret topics of one account. */
const policyDenyingIn = (account: string) => ({
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Action: 'iot:*', Resource: '*' },
    {
      Effect: 'Deny',
      Action: 'iot:Publish',
      Resource: `arn:aws:iot:eu-west-1:${account}:topic/secret/*`,
    },
  ],
})

const ruleOf = (sql: string) => ({
  sql,
  awsIotSqlVersion: '2016-03-23',
  actions: [
    {
      kinesis: {
        roleArn: `arn:aws:iam::${accountId}:role/write`,
        streamName: 'temps',
        partitionKey: '${topic(2)}',
      },
    },
  ],
})

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let lab: LabServer
let mqttPort: number
let sluice: SluiceProcess | undefined

beforeEach(async () => {
  folder = await temporaryFolder()
  lab = await createLabServer({ host: '127.0.0.1', port: 0, region: 'eu-west-1', accountId })
  mqttPort = await freePort()
  await mkdir(path.join(folder.path, 'rules'))
  await mkdir(path.join(folder.path, 'policies'))
  await writeJson('policies/p.meta.json', { targets: ['all'] })
  await writeJson('policies/p.json', policyDenyingIn(accountId))
  await writeJson('rules/temps.json', ruleOf("SELECT * FROM 'temps/+'"))
})

afterEach(async () => {
  sluice?.kill('SIGKILL')
  await sluice?.ended
  await lab.close()
  await folder.remove()
})

async function writeJson(name: string, document: unknown): Promise<void> {
  await writeFile(path.join(folder.path, name), JSON.stringify(document))
}

function start(environment: Readonly<Record<string, string>> = {}): SluiceProcess {
  const endpoint = `http://127.0.0.1:${lab.port}`
  sluice = startSluice(['start'], {
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
    SLUICE_POLICIES_DIR: path.join(folder.path, 'policies'),
    SLUICE_AUTH: 'off',
    SLUICE_MQTT_PORT: String(mqttPort),
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'AKIASLUICE',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_ENDPOINT_URL_KINESIS: endpoint,
    AWS_ENDPOINT_URL_STS: endpoint,
    ...environment,
  })
  return sluice
}

/** STS does not say who is calling, so many times; without a number, until it is told otherwise. */
function failSts(times?: number): void {
  lab.faults.add({
    operation: 'GetCallerIdentity',
    ...(times !== undefined && { times }),
    effect: { kind: 'error', code: 'ServiceUnavailable', status: 503 },
  })
}

async function connect(): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { reconnectPeriod: 0 }, false)
  client.on('error', () => {})
  onTestFinished(() => void client.end(true))
  return client
}

/** Whether a publish of QoS 1 is acknowledged; else the connection is closed instead. */
async function isAcknowledged(topic: string): Promise<boolean> {
  const client = await connect()
  const closed = new Promise<boolean>((resolve) => client.once('close', () => resolve(false)))
  const acknowledged = client.publishAsync(topic, '{}', { qos: 1 }).then(() => true)
  acknowledged.catch(() => undefined)
  const answer = await Promise.race([closed, acknowledged])
  client.end(true)
  return answer
}

/** The line that names the HTTP port while nothing else is listened on. */
async function waiting(): Promise<string> {
  const line = await (sluice as SluiceProcess).logged((each) => each['waitsFor'] === 'account')
  return `http://127.0.0.1:${line['http'] as number}`
}

async function readyUrl(): Promise<string> {
  const { http } = await (sluice as SluiceProcess).ready()
  return `http://127.0.0.1:${http as number}`
}

const jsonOf = async (url: string): Promise<unknown> => (await fetch(url)).json()

describe('while STS does not say which account this is', () => {
  test('a policy that names an account is not decided by a stand-in', async () => {
    failSts(2)
    start()
    await readyUrl()
    expect(await isAcknowledged('open/7')).toBe(true)
    expect(await isAcknowledged('secret/7')).toBe(false)
  })

  test('nothing is served but health, which says why; then it begins by itself', async () => {
    failSts()
    start()
    const url = await waiting()
    const health = await fetch(`${url}/v1/health`)
    expect(health.status).toBe(503)
    expect(await health.json()).toEqual({ status: 'starting', reasons: ['accountUnknown'] })
    const refused = await fetch(`${url}/rules`)
    expect(refused.status).toBe(503)
    expect(refused.headers.get('x-amzn-errortype')).toBe('ServiceUnavailableException')
    await expect(connect()).rejects.toThrow(/ECONNREFUSED/)
    expect(await upgradeStatus(`${url}/mqtt`)).toBe(503)

    lab.faults.clear()
    await readyUrl()
    expect(await jsonOf(`${url}/v1/health`)).toEqual({ status: 'ok' })
    expect(await jsonOf(`${url}/rules/temps`)).toMatchObject({
      ruleArn: `arn:aws:iot:eu-west-1:${accountId}:rule/temps`,
    })
  })

  test('the policies of access keys are waited for as well', async () => {
    failSts()
    await writeJson('policies/p.json', policyDenyingIn('*'))
    const file = path.join(folder.path, 'credentials.json')
    const key = {
      accessKeyId: 'SLUICEKEY',
      secretAccessKey: 'a-secret-of-this-test',
      policy: policyDenyingIn(accountId),
    }
    await writeFile(file, JSON.stringify({ accessKeys: [key] }), { mode: 0o600 })
    start({ SLUICE_CREDENTIALS_FILE: file, SLUICE_AUTH: 'sigv4' })
    expect((await fetch(`${await waiting()}/v1/health`)).status).toBe(503)
    // Nobody names an account any more.
    await writeFile(
      file,
      JSON.stringify({ accessKeys: [{ ...key, policy: policyDenyingIn('*') }] }),
    )
    expect(await jsonOf(`${await readyUrl()}/v1/health`)).toMatchObject({ status: 'degraded' })
  })

  test('a rule that asks for the account is waited for as well', async () => {
    failSts()
    await writeJson('policies/p.json', policyDenyingIn('*'))
    await writeJson('rules/temps.json', ruleOf("SELECT accountid() AS account FROM 'temps/+'"))
    start()
    expect((await fetch(`${await waiting()}/v1/health`)).status).toBe(503)
  })

  test('a signal ends it in order', async () => {
    failSts()
    const process = start()
    await waiting()
    process.kill('SIGTERM')
    expect(await process.ended).toBe(0)
  })

  test('policies for any account are enforced at once, and ARNs follow', async () => {
    failSts()
    await writeJson('policies/p.json', policyDenyingIn('*'))
    start()
    const url = await readyUrl()
    expect(await jsonOf(`${url}/v1/health`)).toEqual({
      status: 'degraded',
      reasons: ['accountUnknown'],
    })
    expect(await isAcknowledged('open/7')).toBe(true)
    expect(await isAcknowledged('secret/7')).toBe(false)
    lab.faults.clear()
    await expect
      .poll(() => jsonOf(`${url}/rules/temps`), { timeout: 30_000 })
      .toMatchObject({ ruleArn: `arn:aws:iot:eu-west-1:${accountId}:rule/temps` })
    expect(await jsonOf(`${url}/v1/health`)).toEqual({ status: 'ok' })
  })
})

test('a rule that asks for the account does not run before it is known', async () => {
  failSts()
  await writeJson('policies/p.json', policyDenyingIn('*'))
  const asking = ruleOf("SELECT accountid() AS account FROM 'temps/+'")
  await writeJson('rules/switched.json', { ...asking, ruleDisabled: true })
  start()
  const url = await readyUrl()
  const create = () =>
    fetch(`${url}/rules/made`, { method: 'POST', body: JSON.stringify(asking), headers })
  const headers = { 'content-type': 'application/json' }
  const refusals = [
    await create(),
    await fetch(`${url}/rules/temps`, { method: 'PATCH', body: JSON.stringify(asking), headers }),
    await fetch(`${url}/rules/switched/enable`, { method: 'POST' }),
  ]
  for (const refused of refusals) {
    expect(refused.status).toBe(503)
    expect(refused.headers.get('x-amzn-errortype')).toBe('ServiceUnavailableException')
    expect(await refused.text()).toContain('accountid()')
  }
  await writeJson('rules/laid.json', asking)
  await sluice?.logged(({ rule, msg }) => rule === 'laid' && /accountid\(\)/.test(String(msg)))
  expect((await fetch(`${url}/rules/laid`)).status).toBe(401)

  lab.faults.clear()
  await sluice?.logged(({ rule, disabled }) => rule === 'laid' && disabled === false)
  expect((await fetch(`${url}/rules/laid`)).status).toBe(200)
  expect((await create()).status).toBe(200)
  expect(await jsonOf(`${url}/v1/health`)).toEqual({ status: 'ok' })
})

describe('an account that is known', () => {
  test('is remembered for a start at which STS fails', async () => {
    start()
    await readyUrl()
    sluice?.kill('SIGTERM')
    expect(await sluice?.ended).toBe(0)
    const file = path.join(folder.path, 'data', 'account.json')
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ accountId })
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600')

    failSts()
    start()
    await readyUrl()
    expect(await isAcknowledged('secret/7')).toBe(false)
    expect(await isAcknowledged('open/7')).toBe(true)
  })

  test('is the one that is set, and STS is not asked', async () => {
    failSts()
    start({ SLUICE_ACCOUNT_ID: accountId })
    const url = await readyUrl()
    expect(await jsonOf(`${url}/v1/health`)).toEqual({ status: 'ok' })
    expect(await isAcknowledged('secret/7')).toBe(false)
    await expect(stat(path.join(folder.path, 'data', 'account.json'))).rejects.toThrow('ENOENT')
  })
})

/** How a WebSocket upgrade is answered. */
async function upgradeStatus(url: string): Promise<number | undefined> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-protocol': 'mqtt',
  }
  const sent = request(url, { headers, agent: false })
  sent.end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  answer.resume()
  return answer.statusCode
}

/** One that nobody listens on now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
