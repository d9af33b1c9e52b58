import { execFile, execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { request as httpsRequest } from 'node:https'
import type { IncomingMessage } from 'node:http'
import path from 'node:path'
import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import { connectAsync } from 'mqtt'
import type { IClientOptions, MqttClient } from 'mqtt'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { principalOf } from '../../src/identity/policies/principal.ts'
import { presignMqtt } from '../helpers/presign.ts'
import { runSluice, startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

/** A lab as a new user would make it: certificates, a policy for the first device alone, a key. */
interface GuardedLab {
  readonly process: SluiceProcess
  readonly certificates: string
  readonly mqtts: number
  readonly http: number
  readonly ca: string
  readonly key: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

let lab: GuardedLab
let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
  lab = await startGuardedLab(folder.path)
})
afterAll(async () => {
  lab.process.kill('SIGKILL')
  await lab.process.ended
  await folder.remove()
})

const devicePolicy = {
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Action: 'iot:Connect',
      Resource: 'arn:aws:iot:*:*:client/${iot:Certificate.Subject.CommonName}',
    },
    {
      Effect: 'Allow',
      Action: 'iot:Publish',
      Resource: 'arn:aws:iot:*:*:topic/dt/${iot:ClientId}/*',
    },
  ],
}

async function startGuardedLab(directory: string): Promise<GuardedLab> {
  const certificates = path.join(directory, 'certs')
  const policies = path.join(directory, 'policies')
  const environment = {
    SLUICE_DATA_DIR: path.join(directory, 'data'),
    SLUICE_RULES_DIR: path.join(directory, 'rules'),
    SLUICE_POLICIES_DIR: policies,
    SLUICE_TLS_CERT_FILE: path.join(certificates, 'server.pem'),
    SLUICE_TLS_KEY_FILE: path.join(certificates, 'server-key.pem'),
    SLUICE_TLS_CA_FILE: path.join(certificates, 'ca.pem'),
    SLUICE_MQTTS_PORT: '0',
    SLUICE_MQTT_ANONYMOUS: 'off',
  }
  const [made, keys] = await Promise.all([
    runSluice(['certs', '--dir', certificates, '--device', 'd1', 'd2']),
    runSluice(['keys', 'create'], environment),
  ])
  expect([made.code, keys.code]).toEqual([0, 0])
  await mkdir(policies)
  const principal = principalOf(await readFile(path.join(certificates, 'devices/d1.pem'), 'utf8'))
  await writeFile(path.join(policies, 'device.json'), JSON.stringify(devicePolicy))
  await writeFile(
    path.join(policies, 'device.meta.json'),
    JSON.stringify({ targets: [`cert:${principal}`] }),
  )
  const process = startSluice(['lab'], environment)
  const { mqtts, http } = await process.ready()
  return {
    process,
    certificates,
    mqtts: mqtts as number,
    http: http as number,
    ca: await readFile(path.join(certificates, 'ca.pem'), 'utf8'),
    key: {
      accessKeyId: /AWS_ACCESS_KEY_ID=(\S+)/.exec(keys.stdout)?.[1] ?? '',
      secretAccessKey: /AWS_SECRET_ACCESS_KEY=(\S+)/.exec(keys.stdout)?.[1] ?? '',
    },
  }
}

const deviceFiles = (name: string) => ({
  cert: path.join(lab.certificates, `devices/${name}.pem`),
  key: path.join(lab.certificates, `devices/${name}-key.pem`),
})

async function deviceOptions(name: string): Promise<IClientOptions> {
  const { cert, key } = deviceFiles(name)
  return {
    clientId: name,
    ca: lab.ca,
    cert: await readFile(cert, 'utf8'),
    key: await readFile(key, 'utf8'),
  }
}

async function connect(url: string, options: IClientOptions): Promise<MqttClient> {
  const client = await connectAsync(url, { reconnectPeriod: 0, ...options }, false)
  client.on('error', () => {})
  onTestFinished(() => void client.end(true))
  return client
}

const mqttsUrl = () => `mqtts://localhost:${lab.mqtts}`

describe('a lab with certificates and policies', () => {
  test('lets a device with a policy publish where it may, and ends it elsewhere', async () => {
    const client = await connect(mqttsUrl(), await deviceOptions('d1'))
    await client.publishAsync('dt/d1/telemetry', '{"temp": 61.5}', { qos: 1 })
    const closed = new Promise<void>((resolve) => void client.once('close', resolve))
    client.publish('dt/d2/telemetry', '{}', { qos: 1 })
    await closed
    expect(client.connected).toBe(false)
  })

  test.each([
    ['a device without a policy', () => deviceOptions('d2')],
    [
      'a device under the name of another',
      async () => ({ ...(await deviceOptions('d1')), clientId: 'd2' }),
    ],
    ['nobody', () => Promise.resolve({ ca: lab.ca })],
  ])('keeps out %s', async (_who, options) => {
    await expect(connect(mqttsUrl(), await options())).rejects.toThrow('Not authorized')
  })

  test('serves the same over WebSocket at the endpoint that it names', async () => {
    const endpoint = await describeEndpoint()
    expect(endpoint).toBe(`localhost:${lab.http}`)
    const client = await connect(`wss://${endpoint}/mqtt`, await deviceOptions('d1'))
    await client.publishAsync('dt/d1/telemetry', '{"temp": 61.5}', { qos: 1 })
    expect(client.connected).toBe(true)
  })

  test('lets in by a signed URL whom its key allows, and nobody by another secret', async () => {
    const host = `localhost:${lab.http}`
    const other = { ...lab.key, secretAccessKey: 'a secret that is not of this key' }
    const right = await presignMqtt({ host, credentials: lab.key })
    const wrong = await presignMqtt({ host, credentials: other })
    const options = (target: string): IClientOptions => ({
      ca: lab.ca,
      transformWsUrl: () => `wss://${host}${target}`,
    })
    const client = await connect(`wss://${host}/mqtt`, options(right))
    await client.publishAsync('any/topic', 'x', { qos: 1 })
    await expect(connect(`wss://${host}/mqtt`, options(wrong))).rejects.toThrow("Couldn't connect")
    const refused = await lab.process.logged((line) => line['reason'] === 'signature_refused')
    expect(refused['detail']).toBe('The signature of the URL does not match.')
    expect(JSON.stringify(lab.process.logLines)).not.toContain(lab.key.secretAccessKey)
  })

  test.runIf(isInstalled('mosquitto_pub'))('serves mosquitto_pub', async () => {
    expect(await mosquittoPub('d1')).toBe(0)
    expect(await mosquittoPub('d2')).not.toBe(0)
  })

  test('shows another certificate when it is there, and keeps who is connected', async () => {
    const client = await connect(mqttsUrl(), await deviceOptions('d1'))
    const before = await serials()
    expect(before.mqtts).toBe(before.https)
    const words = ['certs', '--dir', lab.certificates, '--force', '--device', 'd3']
    expect((await runSluice(words)).code).toBe(0)
    await expect
      .poll(async () => Object.values(await serials()), { timeout: 10_000 })
      .not.toContain(before.mqtts)
    await client.publishAsync('dt/d1/telemetry', '{"temp": 61.5}', { qos: 1 })
    expect(client.connected).toBe(true)
  })

  test('stops in time with clients of every kind', async () => {
    const options = await deviceOptions('d1')
    const half = connectTls({ port: lab.mqtts, host: '127.0.0.1', ca: lab.ca }).on(
      'error',
      () => {},
    )
    onTestFinished(() => void half.destroy())
    const target = await presignMqtt({ host: `localhost:${lab.http}`, credentials: lab.key })
    await connect(mqttsUrl(), options)
    await connect('wss://localhost/mqtt', {
      ca: lab.ca,
      transformWsUrl: () => `wss://localhost:${lab.http}${target}`,
    })
    lab.process.kill('SIGTERM')
    expect(await lab.process.ended).toBe(0)
  })
})

/** @returns its exit code */
function mosquittoPub(name: string): Promise<number | string | undefined | null> {
  const { cert, key } = deviceFiles(name)
  const ca = path.join(lab.certificates, 'ca.pem')
  const words = ['-h', 'localhost', '-p', String(lab.mqtts), '--cafile', ca]
  words.push('--cert', cert, '--key', key, '-i', name, '-q', '1')
  words.push('-t', `dt/${name}/telemetry`, '-m', '{"temp": 61.5}')
  return new Promise((resolve) => {
    execFile('mosquitto_pub', words, (error) => resolve(error ? error.code : 0))
  })
}

/** The certificates that are shown now. */
async function serials(): Promise<{ readonly mqtts: string; readonly https: string }> {
  const serialAt = async (port: number) => {
    const socket = connectTls({ port, host: '127.0.0.1', servername: 'localhost', ca: lab.ca })
    await once(socket, 'secureConnect')
    const { serialNumber } = socket.getPeerCertificate()
    socket.destroy()
    return serialNumber
  }
  return { mqtts: await serialAt(lab.mqtts), https: await serialAt(lab.http) }
}

async function describeEndpoint(): Promise<string> {
  const request = httpsRequest({
    host: 'localhost',
    port: lab.http,
    ca: lab.ca,
    path: '/endpoint?endpointType=iot:Data-ATS',
  })
  request.end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return (JSON.parse(body) as { readonly endpointAddress: string }).endpointAddress
}

function isInstalled(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`])
    return true
  } catch {
    return false
  }
}
