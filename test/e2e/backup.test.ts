import { KinesisClient } from '@aws-sdk/client-kinesis'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdir, symlink } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { commandBlocksOf } from '../docs/document-blocks.ts'
import { readStream } from '../helpers/read-stream.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'

/** The commands of docs/OPERATIONS.md, "Backup and restore", as they are printed. */
const root = path.resolve(import.meta.dirname, '../..')
const document = readFileSync(path.join(root, 'docs/OPERATIONS.md'), 'utf8')
const [backup = '', restore = ''] = commandBlocksOf(document)
  .filter(({ text }) => text.includes('sluice-backup.tar.gz'))
  .map(({ text }) => text)

test('a backup that is restored has the records that waited, and what was retained', async () => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const cwd = folder.path
  await mkdir(path.join(cwd, 'bin'))
  await symlink(path.join(root, 'bin/sluice.js'), path.join(cwd, 'bin/sluice'))

  const first = await lab(cwd)
  const throttled = { effect: { kind: 'failEntries', code: 'InternalFailure' } }
  const fault = { method: 'POST', body: JSON.stringify(throttled) }
  expect((await fetch(`${first.kinesis}/_faults`, fault)).status).toBe(201)
  await first.publish('{"temp": 61.5}')
  await shell(cwd, backup)
  expect(await first.ended).toBe(0)

  const second = await lab(cwd)
  await second.records(1)
  await second.publish('')
  second.kill('SIGTERM')
  expect(await second.ended).toBe(0)

  expect(restore).toMatch(/\nsluice lab$/)
  await shell(cwd, restore.replace(/\nsluice lab$/, ''))
  const third = await lab(cwd)
  expect(await third.records(1)).toMatchObject([{ partitionKey: '7' }])
  const client = await third.connect()
  const arrives = new Promise<string>((resolve) => {
    client.once('message', (_topic, payload) => resolve(payload.toString()))
  })
  await client.subscribeAsync('dt/7/telemetry', { qos: 1 })
  expect(await arrives).toBe('{"temp": 61.5}')
  await client.endAsync()
  third.kill('SIGTERM')
  expect(await third.ended).toBe(0)
}, 120_000)

/** A lab with the sample rule, whose data and rules are in the folder. */
async function lab(cwd: string) {
  const sluice = startSluice(['lab'], {}, { cwd })
  onTestFinished(() => sluice.kill('SIGKILL'))
  const { mqtt, kinesis: port } = await sluice.ready()
  const kinesis = `http://127.0.0.1:${String(port)}`
  const connect = () => connectAsync(`mqtt://127.0.0.1:${String(mqtt)}`)
  return {
    ...sluice,
    kinesis,
    connect,
    /** Publishes a retained message; resolves when it is acknowledged. */
    async publish(payload: string): Promise<void> {
      const client = await connect()
      await client.publishAsync('dt/7/telemetry', payload, { qos: 1, retain: true })
      await client.endAsync()
    },
    records(count: number) {
      const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
      const client = new KinesisClient({ endpoint: kinesis, region: 'us-east-1', credentials })
      return readStream(client, 'hot-devices', count)
    },
  }
}

async function shell(cwd: string, script: string): Promise<void> {
  const env = { ...process.env, PATH: `${path.join(cwd, 'bin')}:${process.env['PATH'] ?? ''}` }
  await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], { cwd, env })
}
