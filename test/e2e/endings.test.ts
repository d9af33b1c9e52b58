import { execFileSync, spawn } from 'node:child_process'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import path from 'node:path'
import {
  KinesisClient,
  ListStreamConsumersCommand,
  PutRecordCommand,
} from '@aws-sdk/client-kinesis'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createLabServer } from '../../src/lab/server/lab-server.ts'
import { startIngress } from '../ingress/helpers.ts'
import { runSluice, startSluice, temporaryFolder } from '../helpers/sluice-process.ts'

/** A process that starts on a busy machine takes its time. */
const patiently = { timeout: 15_000 }

/** How processes end: with the right code, in time, whatever their output and their signals do. */
const binary = path.resolve(import.meta.dirname, '../../bin/sluice.js')

async function makeFolder(): Promise<string> {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  return folder.path
}

/** As in `sluice ... | head -1`: reads one line, then closes the pipe. */
async function readOneLine(words: readonly string[], cwd: string) {
  const child = spawn(process.execPath, [binary, ...words], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise<number | string | null>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  const lines = createInterface({ input: child.stdout })
  const line = await new Promise<string>((resolve) => lines.once('line', resolve))
  lines.close()
  child.stdout.destroy()
  return { line, ended, stderr: () => stderr }
}

test('`check | head -1` of a folder with a problem has exit code 1', async () => {
  const folder = await makeFolder()
  for (let index = 0; index < 2_000; index += 1) {
    await writeFile(path.join(folder, `r${index}.json`), '{')
  }
  const { line, ended, stderr } = await readOneLine(['check', folder], folder)
  expect(line).toMatch(/^FAIL/)
  expect(await ended).toBe(1)
  expect(stderr()).toBe('')
})

test('`sub | head -1` ends in order when the next message comes', async () => {
  const { ingress, port, metric } = await startIngress()
  const publish = (payload: string) =>
    ingress.publish({
      topic: 'a',
      payload: Buffer.from(payload),
      qos: 1,
      retain: true,
      transport: 'http',
      timestampMs: 1,
    })
  await publish('one')
  const words = ['sub', '--host', '127.0.0.1', '-p', String(port), '-t', 'a', '--raw']
  const { line, ended } = await readOneLine(words, await makeFolder())
  expect(line).toBe('one')
  await publish('two')
  expect(await ended).toBe(0)
  await expect.poll(() => metric('mqttConnections'), patiently).toBe(0)
})

test('`tail --fan-out | head -1` takes its consumer away again', async () => {
  const lab = await createLabServer({
    host: '127.0.0.1',
    port: 0,
    region: 'us-east-1',
    accountId: '000000000000',
  })
  const kinesis = new KinesisClient({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${lab.port}`,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })
  onTestFinished(async () => {
    kinesis.destroy()
    await lab.close()
  })
  lab.ensureStream('s', 1)
  const put = (text: string) =>
    kinesis.send(
      new PutRecordCommand({ StreamName: 's', PartitionKey: 'k', Data: Buffer.from(text) }),
    )
  await put('one')
  const endpoint = ['--endpoint', `http://127.0.0.1:${lab.port}`]
  const { line, ended } = await readOneLine(
    ['tail', 's', '--fan-out', ...endpoint],
    await makeFolder(),
  )
  expect(line).toContain('one')
  await put('two')
  expect(await ended).toBe(0)
  const { Consumers } = await kinesis.send(
    new ListStreamConsumersCommand({
      StreamARN: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
    }),
  )
  expect(Consumers?.filter(({ ConsumerStatus }) => ConsumerStatus === 'ACTIVE')).toEqual([])
})

test('`kinesis` ends when a stream cannot be made', async () => {
  const { code, stderr } = await runSluice([
    'kinesis',
    '--stream',
    'a:9999',
    '--stream',
    'c:9999',
    '--stream',
    'b:9999',
  ])
  expect(code).toBe(1)
  expect(stderr).toMatch(/^sluice: [^\n]*shard[^\n]*\n$/)
})

test('a second signal of another kind ends a stop that takes long', async () => {
  const folder = await makeFolder()
  const lab = startSluice(['lab'], { SLUICE_DRAIN_MS: '600000' }, { cwd: folder })
  onTestFinished(async () => {
    lab.kill('SIGKILL')
    await lab.ended
  })
  const { kinesis } = await lab.ready()
  const effect = { kind: 'delay', delayMs: 600_000 }
  await fetch(`http://127.0.0.1:${kinesis as number}/_faults`, {
    method: 'POST',
    body: JSON.stringify({ operation: 'PutRecords', effect }),
  })
  const words = ['pub', '-t', 'dt/7/telemetry', '-m', '{"temp": 99}']
  expect((await runSluice(words, {}, { cwd: folder })).code).toBe(0)
  lab.kill('SIGTERM')
  await lab.logged(({ msg }) => msg === 'stopping')
  lab.kill('SIGINT')
  expect(await lab.ended).toBe('SIGINT')
})

test('`simulate --repeat` ends at Ctrl-C while its broker is gone', async () => {
  const folder = await makeFolder()
  const { ingress, port, messages } = await startIngress()
  const file = path.join(folder, 'messages.ndjson')
  await writeFile(file, '{"device":"d"}\n')
  const words = ['simulate', '--repeat', '--file', file, '--host', '127.0.0.1', '-p', String(port)]
  const simulation = startSluice(words)
  await expect.poll(() => messages.length, patiently).toBeGreaterThan(0)
  await ingress.close()
  simulation.kill('SIGINT')
  expect(await simulation.ended).toBe(0)
})

test('a lab says first that it starts, and at last what it made in this folder', async () => {
  const folder = await makeFolder()
  await mkdir(path.join(folder, 'functions'))
  await writeFile(path.join(folder, 'package.json'), '{}')
  const lab = startSluice(['lab'], { SLUICE_MQTT_PROT: '1' }, { cwd: folder })
  onTestFinished(async () => {
    lab.kill('SIGKILL')
    await lab.ended
  })
  await lab.ready()
  expect(lab.logLines[0]).toMatchObject({ level: 'info', msg: 'starting lab' })
  expect(lab.logLines).toContainEqual(
    expect.objectContaining({ made: [path.join(folder, 'rules'), path.join(folder, 'lab-data')] }),
  )
  expect(lab.logLines.filter(({ level }) => level === 'warn')).toEqual([
    expect.objectContaining({ msg: expect.stringContaining('is it SLUICE_MQTT_PORT?') as string }),
  ])
  expect((await readdir(folder)).toSorted()).toEqual([
    'functions',
    'lab-data',
    'package.json',
    'rules',
  ])
})

test('`simulate` says how many messages each rule took', async () => {
  const folder = await makeFolder()
  const lab = startSluice(['lab'], {}, { cwd: folder })
  onTestFinished(async () => {
    lab.kill('SIGKILL')
    await lab.ended
  })
  await lab.ready()
  const file = path.join(folder, 'messages.ndjson')
  await writeFile(file, '{"device":"d"}\n{"device":"d","temp":99}\n')
  const none = await runSluice(['simulate', '--file', file], {}, { cwd: folder })
  expect(none.stdout).toMatch(/^2 messages published and acknowledged .*\nno rule took any of them/)

  const sql = "SELECT * FROM 'env/#' WHERE temp > 50"
  await writeFile(path.join(folder, 'rules', 'hot.json'), JSON.stringify({ sql, actions: [] }))
  await lab.logged((line) => line['rule'] === 'hot')
  const some = await runSluice(['simulate', '--file', file], {}, { cwd: folder })
  expect(some.stdout).toMatch(/\nmessages taken by rules: hot 1\n$/)
})

describe('SIGTERM ends a start that hangs', () => {
  test('in a call of the file system that never returns', patiently, async () => {
    const folder = await makeFolder()
    const mappings = path.join(folder, 'data/event-source/mappings')
    await mkdir(mappings, { recursive: true })
    await writeFile(
      path.join(folder, 'data/format.json'),
      JSON.stringify({ version: 1, owner: 'lab' }),
    )
    // Opening it waits for a writer that never comes.
    execFileSync('mkfifo', [path.join(mappings, '0.json')])
    const sluice = startSluice(['lab'], {}, { cwd: folder })
    onTestFinished(() => sluice.kill('SIGKILL'))
    await sluice.logged(({ msg }) => String(msg).startsWith('starting'))
    await expect.poll(() => readFile(path.join(folder, 'rules/hot_devices.json'))).toBeDefined()
    sluice.kill('SIGTERM')
    await sluice.logged(({ msg }) => msg === 'stopped')
    // Nothing can end such a call but the end of the process by a signal.
    expect([0, 'SIGTERM']).toContain(await sluice.ended)
  })

  test('in a call over the network that is not answered', patiently, async () => {
    const folder = await makeFolder()
    const silent = createServer(() => undefined)
    const asked = new Promise((resolve) => silent.once('connection', resolve))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void silent.close())
    const rules = path.join(folder, 'rules')
    await mkdir(rules)
    await writeFile(
      path.join(rules, 'r.json'),
      JSON.stringify({ sql: "SELECT accountid() AS a FROM 'a'", actions: [] }),
    )
    const { port } = silent.address() as AddressInfo
    const sluice = startSluice(
      ['start'],
      {
        AWS_REGION: 'eu-west-1',
        AWS_ACCESS_KEY_ID: 'AKIASLUICE',
        AWS_SECRET_ACCESS_KEY: 'secret',
        AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${port}`,
      },
      { cwd: folder },
    )
    onTestFinished(() => sluice.kill('SIGKILL'))
    await asked
    sluice.kill('SIGTERM')
    await sluice.logged(({ msg }) => msg === 'stopped')
    expect([0, 'SIGTERM']).toContain(await sluice.ended)
  })
})

test(
  '`lab` starts without a rule file that cannot be used, and health says so',
  patiently,
  async () => {
    const folder = await makeFolder()
    await mkdir(path.join(folder, 'rules'))
    execFileSync('mkfifo', [path.join(folder, 'rules/pipe.json')])
    const sluice = startSluice(['lab'], {}, { cwd: folder })
    onTestFinished(() => sluice.kill('SIGKILL'))
    const { http } = await sluice.ready()
    const health = await fetch(`http://127.0.0.1:${String(http)}/v1/health`)
    expect([health.status, await health.json()]).toEqual([
      200,
      { status: 'degraded', reasons: ['rulesInvalid'] },
    ])
    expect(await sluice.logged(({ level }) => level === 'error')).toMatchObject({ rule: 'pipe' })
    sluice.kill('SIGTERM')
    expect(await sluice.ended).toBe(0)
  },
)
