/** Clients of MQTT 5 as people use them, against a lab. */
import { execFile } from 'node:child_process'
import { copyFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import mqtt from 'mqtt'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

const run = promisify(execFile)
const programs = path.join(import.meta.dirname, 'mqtt5')
/** The device SDK brings libraries for seven platforms, 56 MB. */
const installMsMax = 600_000
const runMsMax = 120_000

const startMsMax = 60_000

let folder: string
let lab: SluiceProcess
let port: string

beforeAll(async () => {
  const made = await temporaryFolder()
  folder = made.path
  await writeFile(path.join(folder, 'package.json'), '{"private": true}')
  lab = startSluice(['lab'], {}, { cwd: folder })
  port = String((await lab.ready())['mqtt'])
}, startMsMax)

afterAll(async () => {
  lab.kill('SIGTERM')
  await lab.ended
  await rm(folder, { recursive: true, force: true })
})

const inOrder = [
  ['b', '1'],
  ['a', '2'],
  ['b', '3'],
]

/** @returns why it could not be installed */
async function install(command: string, ...words: string[]): Promise<string | undefined> {
  try {
    await run(command, words, { cwd: folder, timeout: installMsMax })
    return undefined
  } catch (thrown) {
    return String(thrown).trim().split('\n', 1)[0]
  }
}

test('AWS’s device SDK 2 for JavaScript', { timeout: installMsMax + runMsMax }, async (it) => {
  const words = ['install', '--no-audit', '--no-fund', '--ignore-scripts', 'aws-iot-device-sdk-v2']
  const why = await install('npm', ...words)
  if (why !== undefined) it.skip(why)
  const program = path.join(folder, 'aws-sdk-device.mjs')
  await copyFile(path.join(programs, 'aws-sdk-device.mjs'), program)
  const { stdout } = await run(process.execPath, [program, port], { timeout: runMsMax })
  expect(JSON.parse(stdout)).toMatchObject({
    settings: {
      maximumQos: 1,
      receiveMaximumFromServer: 100,
      maximumPacketSizeToServer: 149_504,
      topicAliasMaximumToServer: 8,
      serverKeepAlive: 1_200,
      subscriptionIdentifiersAvailable: false,
    },
    suback: [1],
    puback: 0,
    payload: 'hello',
    contentType: 'text/plain',
    userProperties: inOrder,
    refused: 0x90,
  })
})

test('paho-mqtt 2 for Python', { timeout: installMsMax + runMsMax }, async (it) => {
  const python = path.join(folder, 'python')
  const why =
    (await install('python3', '-m', 'venv', python)) ??
    (await install(path.join(python, 'bin', 'pip'), 'install', '--quiet', 'paho-mqtt>=2,<3'))
  if (why !== undefined) it.skip(why)
  const program = path.join(programs, 'paho-device.py')
  const { stdout } = await run(path.join(python, 'bin', 'python'), [program, port], {
    timeout: runMsMax,
  })
  expect(JSON.parse(stdout)).toEqual({
    connack: 0,
    suback: [1],
    payload: 'hello',
    contentType: 'text/plain',
    userProperties: inOrder,
  })
})

const property = (...words: readonly string[]) => ['-D', 'publish', ...words]

test('mosquitto_pub and mosquitto_sub', { timeout: runMsMax }, async (it) => {
  const isThere = await run('mosquitto_pub', ['--version']).then(
    () => true,
    (thrown: unknown) => (thrown as NodeJS.ErrnoException).code !== 'ENOENT',
  )
  if (!isThere) it.skip('mosquitto_pub is not on this machine')
  const broker = ['-V', '5', '-h', '127.0.0.1', '-p', port, '-t', 'mosquitto/1', '-q', '1']
  // Retained, so that it does not matter which of the two is first.
  await run('mosquitto_pub', [
    ...broker,
    '-r',
    '-m',
    'hello',
    ...property('content-type', 'text/plain'),
    ...inOrder.flatMap((pair) => property('user-property', ...pair)),
  ])
  const shown = await run('mosquitto_sub', [...broker, '-C', '1', '-F', '%p %C %P'], {
    timeout: runMsMax,
  })
  expect(shown.stdout.trim()).toBe('hello text/plain b:1 a:2 b:3')
})

test('MQTT.js 5', { timeout: runMsMax }, async () => {
  const client = await mqtt.connectAsync({
    host: '127.0.0.1',
    port: Number(port),
    protocolVersion: 5,
    clientId: '',
    reconnectPeriod: 0,
  })
  const arrived = new Promise<mqtt.IPublishPacket>((resolve) =>
    client.once('message', (_topic, _payload, packet) => resolve(packet)),
  )
  await client.subscribeAsync('mqtt.js/+', { qos: 1 })
  await client.publishAsync('mqtt.js/1', 'hello', {
    qos: 1,
    properties: { contentType: 'text/plain', topicAlias: 1 },
  })
  const { payload, properties } = await arrived
  expect(payload.toString()).toBe('hello')
  expect(properties?.contentType).toBe('text/plain')
  await expect(client.publishAsync('$reserved', 'x', { qos: 1 })).rejects.toMatchObject({
    code: 0x90,
  })
  await client.endAsync()
})
