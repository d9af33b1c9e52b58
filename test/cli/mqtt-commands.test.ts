import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { Readable } from 'node:stream'
import { connectAsync } from 'mqtt'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { SluiceError } from '../../src/base/errors.ts'
import { makeCertificateFolder } from '../../src/identity/certificates/certificate-folder.ts'
import { writeRunningEngine } from '../../src/app/running-engine.ts'
import { temporaryFolder as makeFolder } from '../helpers/sluice-process.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { temporaryFolder } from '../identity/identity-fixtures.ts'
import { allow, startGuarded } from '../ingress/guarded-ingress.ts'
import { atTheEnd, startIngress } from '../ingress/helpers.ts'

/** A process that starts on a busy machine takes its time. */
const patiently = { timeout: 15_000 }

/** How a command ends: its exit code, 1 for what it throws, and what it wrote. */
async function run(
  words: readonly string[],
  given: { readonly environment?: Record<string, string>; readonly stdin?: Readable } = {},
) {
  const host = createTestHost(given.environment, given.stdin)
  try {
    await createProgram(host).parseAsync(words, { from: 'user' })
    return { ...host.written, exitCode: host.exitCode(), error: undefined }
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    return { ...host.written, exitCode: 1, error: thrown }
  }
}

const readText = (file: string) => readFile(file, 'utf8')

/** A guarded broker, over TLS too, and the words of clients that it knows. */
async function startBroker() {
  const temporary = await makeFolder()
  atTheEnd(() => temporary.remove())
  const folder = temporary.path
  const { authority, server, devices } = await makeCertificateFolder({
    directory: folder,
    devices: ['d1'],
    hosts: [],
    force: false,
    nowMs: Date.now(),
  })
  const guarded = await startGuarded({
    anonymous: { tcp: false, tls: false, websocket: false },
    passwords: { u: 'right' },
    policies: {
      p: {
        statements: [
          allow('Connect', '*'),
          allow('Publish', 'topic/a/*', 'topic/env/d1/*'),
          allow('RetainPublish', 'topic/a/*'),
          allow('Subscribe', 'topicfilter/a/*'),
          allow('Receive', 'topic/a/*'),
        ],
        targets: ['user:u', ...devices.map(({ principal }) => `cert:${principal}`)],
      },
      q: { statements: [allow('Connect', '*')], targets: ['anonymous'] },
    },
  })
  const tls = {
    cert: await readText(server.certificateFile),
    key: await readText(server.keyFile),
    ca: await readText(authority.certificateFile),
  }
  const address = { host: '127.0.0.1', port: 0 }
  const { port: mqtts } = await guarded.ingress.listenTls(address, tls)
  const [device] = devices
  if (!device) throw new Error('there is no device')
  const ca = ['--ca', authority.certificateFile]
  return {
    ...guarded,
    plain: ['--host', '127.0.0.1', '--port', String(guarded.port)],
    overTls: ['--host', '127.0.0.1', '--port', String(mqtts)],
    user: ['-u', 'u', '-P', 'right'],
    ca,
    device: [...ca, '--cert', device.certificateFile, '--key', device.keyFile],
  }
}

let broker: Awaited<ReturnType<typeof startBroker>>
beforeAll(async () => {
  broker = await startBroker()
})

const lastMessage = () => broker.messages.at(-1)

describe('sluice pub', () => {
  test('with a password, by file too', async () => {
    const { exitCode, stderr } = await run([
      'pub',
      ...broker.plain,
      ...broker.user,
      ...'-i c -t a/1 -m hello -q 2 -r'.split(' '),
    ])
    expect(stderr).toBe(`1 message acknowledged by 127.0.0.1:${broker.port}\n`)
    expect(exitCode).toBe(0)
    expect(lastMessage()).toMatchObject({ topic: 'a/1', qos: 2, retain: true, clientId: 'c' })
    expect(lastMessage()?.payload.toString()).toBe('hello')

    const file = path.join(await temporaryFolder(), 'password')
    await writeFile(file, 'right\nmore')
    const words = [
      'pub',
      ...broker.plain,
      '-u',
      'u',
      '--password-file',
      file,
      '-t',
      'a/2',
      '-m',
      '',
    ]
    expect((await run(words)).exitCode).toBe(0)
    expect(lastMessage()?.clientId).toMatch(/^sluice_pub_/)
  })

  test('with a certificate', async () => {
    const words = ['pub', ...broker.overTls, ...broker.device, '-t', 'a/1', '-m', 'x', '--json']
    const { exitCode, stdout } = await run(words)
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      topic: 'a/1',
      qos: 1,
      retain: false,
      messages: 1,
      payloadBytes: 1,
      acknowledged: true,
    })
  })

  test.each<[string, readonly string[], readonly string[]]>([
    ['all of standard input', ['-s'], ['one\ntwo\n']],
    ['each line of it', ['-l'], ['one', 'two']],
  ])('takes %s', async (_name, words, payloads) => {
    const stdin = Readable.from([Buffer.from('one\nt'), Buffer.from('wo\n')])
    const count = broker.messages.length
    const given = ['pub', ...broker.plain, ...broker.user, '-t', 'a/in', ...words]
    expect((await run(given, { stdin })).exitCode).toBe(0)
    const sent = broker.messages.slice(count).map(({ payload }) => payload.toString())
    expect(sent).toEqual(payloads)
  })

  test('takes bytes of a file', async () => {
    const file = path.join(await temporaryFolder(), 'bytes')
    await writeFile(file, Buffer.from([0, 255, 10]))
    await run(['pub', ...broker.plain, ...broker.user, '-t', 'a/f', '-f', file])
    expect(lastMessage()?.payload).toEqual(Buffer.from([0, 255, 10]))
  })

  const message = ['-t', 'a/1', '-m', 'x']
  test.each<[string, () => readonly string[], RegExp]>([
    ['no login', () => [...broker.plain, ...message], /refused the connection: .*needs a cert/],
    [
      'a wrong password',
      () => [...broker.plain, '-u', 'u', '-P', 'wrong', ...message],
      /refused the connection: user name or password is not right/,
    ],
    [
      'a topic that no policy allows',
      () => [...broker.plain, ...broker.user, '-t', 'b', '-m', 'x'],
      /closed the connection instead of answering the message for b: .*policy/,
    ],
    [
      'the same with QoS 0',
      () => [...broker.plain, ...broker.user, '-q', '0', '-t', 'b', '-m', 'x'],
      /closed the connection instead of answering the message for b: .*policy/,
    ],
    [
      'a broker of an unknown CA',
      () => ['--tls', ...broker.overTls, ...message],
      /is of no known CA: name the CA with --ca/,
    ],
    [
      'TLS where none is spoken',
      () => [...broker.plain, ...broker.ca, ...message],
      /TLS with 127\.0\.0\.1:\d+ failed: .*not speak TLS on this port/,
    ],
    [
      'no TLS where it is spoken',
      () => [...broker.overTls, ...message],
      /closed the connection without an answer: it may speak TLS on this port/,
    ],
    [
      'a client without a certificate',
      () => [...broker.overTls, ...broker.ca, ...message],
      /--cert/,
    ],
    ['nothing that listens', () => ['--port', '1', ...message], /no MQTT broker answers.*nothing/],
    ['a topic with wildcards', () => [...broker.plain, '-t', 'a/#', '-m', 'x'], /wildcards/],
    ['no payload', () => [...broker.plain, '-t', 'a'], /there is no payload: --message/],
    ['two payloads', () => [...broker.plain, ...message, '-s'], /must be one payload/],
    [
      'a file that is not there',
      () => [...broker.plain, '-t', 'a', '-f', '/gone'],
      /\/gone cannot/,
    ],
    ['a certificate without its key', () => ['--cert', 'c.pem', ...message], /--cert and --key/],
    ['a password of nobody', () => ['-P', 'x', ...message], /needs a user name/],
    ['a will without a topic', () => ['--will-message', 'x', ...message], /--will-topic/],
  ])('ends with exit code 1 and the reason: %s', async (_name, words, reason) => {
    const { error, exitCode } = await run(['pub', ...words()])
    expect(error?.message).toMatch(reason)
    expect(error?.message).not.toContain('\n')
    expect(exitCode).toBe(1)
  })

  test('a server that says nothing is told from one that refuses', async () => {
    const silent = createServer()
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as AddressInfo
    const { error } = await run(['pub', '--host', '127.0.0.1', '-p', String(port), ...message])
    expect(error?.code).toBe('BrokerUnreachable')
    expect(error?.message).toMatch(/did not answer within 5 s/)
  })

  test('a will is published when the connection is cut off, not at an end in order', async () => {
    const { port, messages } = await startIngress()
    const stdin = new Readable({ read: () => undefined })
    const host = createTestHost({}, stdin)
    const will = ['--will-topic', 'w', '--will-message', 'gone']
    const words = ['pub', '--host', '127.0.0.1', '-p', String(port), '-t', 'a', '-l', ...will]
    const done = createProgram(host).parseAsync(words, { from: 'user' })
    stdin.push('one\n')
    await expect.poll(() => messages.length, patiently).toBe(1)
    host.stop()
    await done
    await expect.poll(() => messages.map(({ topic }) => topic), patiently).toEqual(['a', 'w'])
    expect(host.exitCode()).toBe(1)

    await run([...words.slice(0, -4), ...will], { stdin: Readable.from(['two\n']) })
    expect(messages.map(({ topic }) => topic)).toEqual(['a', 'w', 'a'])
  })

  test('finds the engine that runs here; variables and options go before it', async () => {
    const { port, messages } = await startIngress()
    const dataDir = await temporaryFolder()
    const mqtt = { host: '0.0.0.0', port }
    await writeRunningEngine(dataDir, 'start', {
      processId: process.pid,
      region: 'eu-west-1',
      mqtt,
    })
    const environment = { SLUICE_DATA_DIR: dataDir, SLUICE_HTTP_HOST: '0.0.0.0' }
    expect((await run(['pub', ...message], { environment })).exitCode).toBe(0)
    expect(messages).toHaveLength(1)
    const other = { ...environment, SLUICE_MQTT_PORT: '1' }
    expect((await run(['pub', ...message], { environment: other })).error?.message).toMatch(/:1: /)
    expect((await run(['pub', ...message, '-p', '2'], { environment })).error?.message).toMatch(
      /:2: /,
    )
  })
})

const sub = (...words: readonly string[]) => run(['sub', ...broker.plain, ...broker.user, ...words])

const publish = async (topic: string, payload: string | Buffer, retain = false) => {
  const options = { username: 'u', password: 'right' }
  const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, options)
  await client.publishAsync(topic, payload, { qos: 1, retain })
  await client.endAsync()
}

describe('sluice sub', () => {
  test('prints messages as they arrive, and ends after so many', async () => {
    const host = createTestHost()
    const words = ['sub', ...broker.plain, ...broker.user, '-t', 'a/live/+', '-c', '2', '--json']
    const done = createProgram(host).parseAsync(words, { from: 'user' })
    await expect
      .poll(() => host.written.stderr, patiently)
      .toMatch(/^a\/live\/\+ on 127\.0\.0\.1:\d+/)
    await publish('a/live/1', '{"ü": 1}')
    await publish('a/live/2', Buffer.from([0xff]))
    await done
    const lines = host.written.stdout.trim().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { time: expect.any(String), topic: 'a/live/1', qos: 1, retain: false, payload: '{"ü": 1}' },
      { time: expect.any(String), topic: 'a/live/2', qos: 1, retain: false, payloadBase64: '/w==' },
    ])
  })

  test('prints what is retained, unless it is left out', async () => {
    await publish('a/kept', 'x', true)
    const all = await sub('-t', 'a/kept', '-c', '1')
    expect(all.stdout).toMatch(/^[\d:.]{12} {2}a\/kept {2}x\n$/)
    expect((await sub('-t', 'a/kept', '-c', '1', '--raw')).stdout).toBe('x\n')
    const none = await sub('-t', 'a/kept', '-W', '0.2', '--no-retained')
    expect([none.stdout, none.exitCode]).toEqual(['', 0])
  })

  test('has an exit code of its own for too few messages', async () => {
    const { exitCode, stderr } = await sub('-t', 'a/none', '-c', '3', '-W', '0.2')
    expect(exitCode).toBe(2)
    expect(stderr).toMatch(/0 of 3 messages came in time\n$/)
  })

  test('names the filter that is refused', async () => {
    const { error } = await sub('-t', 'a/x', 'b/#')
    expect(error?.message).toMatch(/refused to subscribe to b\/#: no policy/)
  })

  test('says that the broker is gone', async () => {
    const { port, ingress, metric } = await startIngress()
    const ended = run(['sub', '--host', '127.0.0.1', '-p', String(port), '-t', 'a'])
    await expect.poll(() => metric('mqttConnections'), patiently).toBe(1)
    await ingress.close()
    expect((await ended).error?.message).toMatch(/closed the connection/)
  })
})

/** The words of the command for a file with these lines. */
const devices = async (...lines: readonly string[]) => {
  const file = path.join(await temporaryFolder(), 'messages.ndjson')
  await writeFile(file, lines.map((line) => `${line}\n`).join(''))
  return ['simulate', '--rate', 'max', '--file', file]
}

describe('sluice simulate', () => {
  test('publishes as the devices, and counts what was acknowledged', async () => {
    const { port, messages } = await startIngress()
    const words = await devices('{"device":"d1"}', '', '{"device":"d2"}')
    const { stdout } = await run([...words, '--host', '127.0.0.1', '-p', String(port)])
    expect(stdout).toMatch(/^2 messages published and acknowledged in /)
    expect(messages.map(({ topic, clientId }) => [topic, clientId])).toEqual([
      ['env/d1/telemetry', 'd1'],
      ['env/d2/telemetry', 'd2'],
    ])
  })

  test.each<[string, () => readonly string[], RegExp]>([
    ['a refused login', () => broker.plain, /refused the connection: .*needs a cert/],
    ['TLS', () => ['--tls', ...broker.overTls], /is of no known CA/],
    ['nothing that listens', () => ['-p', '1'], /no MQTT broker answers.*nothing listens/],
    [
      'a policy',
      () => [...broker.plain, ...broker.user],
      /lets the device d2 in, and closes its connection.*no policy allows.* env\/d2\/telemetry/,
    ],
  ])('tells refusals apart: %s', async (_name, words, reason) => {
    const { error } = await run([...(await devices('{"device":"d2"}')), ...words()])
    expect(error?.message).toMatch(reason)
  })

  test.each<[string, readonly string[], RegExp]>([
    ['no messages', [], /messages\.ndjson holds no messages$/],
    [
      'a device with a wildcard',
      ['{"device":"x"}', '{"device":"a+b"}'],
      /line 2: .*"a\+b".*wildcards/,
    ],
    ['no JSON', ['{'], /line 1: /],
    ['no device', ['{}'], /line 1: it has no "device" member/],
  ])('refuses a file with %s, also with --repeat', async (_name, lines, reason) => {
    const { error } = await run([...(await devices(...lines)), '--repeat'])
    expect(error?.message).toMatch(reason)
  })

  test('ends when it is told to, with its broker gone', async () => {
    const { port, ingress, messages } = await startIngress()
    const host = createTestHost()
    const file = await devices('{"device":"d1"}')
    const words = [...file, '--repeat', '--host', '127.0.0.1', '-p', String(port)]
    const done = createProgram(host).parseAsync(words, { from: 'user' })
    await expect.poll(() => messages.length, patiently).toBeGreaterThan(0)
    await ingress.close()
    host.stop()
    await done
    expect(host.written.stdout).toMatch(/messages? published and acknowledged/)
  })
})
