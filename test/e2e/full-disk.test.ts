import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createLabServer } from '../../src/lab/server/lab-server.ts'
import { readStream } from '../helpers/read-stream.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { LogLine } from '../helpers/sluice-process.ts'

const payloadBytes = 60_000
const messages = 60
const diskKiB = 2_048

/** A small file system of its own needs the right to mount one. */
const canMount = canMountDisk()

function canMountDisk(): boolean {
  const probe = `mkdir -p "$0" && mount -t tmpfs -o size=1m tmpfs "$0" && umount "$0"`
  return spawnSync('sh', ['-c', probe, `/tmp/sluice-mount-${process.pid}`]).status === 0
}

const region = 'us-east-1'
const accountId = '000000000000'

test.skipIf(!canMount)(
  'a full disk acknowledges nothing; with room again the service goes on, and all arrives',
  async () => {
    const folder = await temporaryFolder()
    const dataDir = path.join(folder.path, 'data')
    const rulesDir = path.join(folder.path, 'rules')
    await mkdir(dataDir)
    await mkdir(rulesDir)
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskKiB}k`, 'tmpfs', dataDir])
    await writeFile(path.join(rulesDir, 'all.json'), ruleText())
    // The stream is missing, so that what is accepted stays on the disk.
    const lab = await createLabServer({ host: '127.0.0.1', port: 0, region, accountId })
    const endpoint = `http://127.0.0.1:${lab.port}`
    const sluice = startSluice(['start'], {
      SLUICE_DATA_DIR: dataDir,
      SLUICE_RULES_DIR: rulesDir,
      SLUICE_AUTH: 'off',
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: 'any',
      AWS_SECRET_ACCESS_KEY: 'any',
      AWS_ENDPOINT_URL_KINESIS: endpoint,
      AWS_ENDPOINT_URL_STS: endpoint,
    })
    const ports = await sluice.ready()
    const client = await connectFiller(ports)
    onTestFinished(async () => {
      await client.endAsync(true)
      sluice.kill('SIGKILL')
      await sluice.ended
      await lab.close()
      execFileSync('umount', [dataDir])
      await rm(folder.path, { recursive: true, force: true })
    })

    let acknowledged = 0
    const sent = Array.from({ length: messages }, async (_, n) => {
      await client.publishAsync('fill/it', `${n} ${'x'.repeat(payloadBytes)}`, { qos: 1 })
      acknowledged += 1
    })
    const line = await sluice.logged((each) => String(each['msg']).startsWith('outbox cannot'))
    expect(line).toMatchObject({ level: 'error', msg: expect.stringContaining('disk') as string })
    const acknowledgedWhenFull = acknowledged
    // LMDB's package prints the stack of each error of a commit: it is in the log.
    expect(sluice.stderr()).not.toContain('at ')
    expect(sluice.logLines.filter(({ level }) => level === undefined)).toEqual([])
    expect(acknowledgedWhenFull).toBeLessThan(messages)
    expect(
      await metric(ports['http'], 'sluice_messages_rejected_total{reason="ingest_failed"}'),
    ).toBeGreaterThan(0)

    execFileSync('mount', ['-o', 'remount,size=256m', dataDir])
    await Promise.all(sent)
    lab.ensureStream('filled', 1)
    const kinesis = new KinesisClient({
      region,
      endpoint,
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    })
    const records = await readStream(kinesis, 'filled', messages)
    kinesis.destroy()
    const numbers = new Set(records.map(({ data }) => Number(data.toString().split(' ')[0])))
    expect(numbers.size).toBe(messages)
  },
)

/** A limit on the size of files makes LMDB's own writes fail, in the words of its library in C. */
const canLimit = spawnSync('prlimit', ['--version']).status === 0

test.skipIf(!canLimit)(
  "LMDB's words about a failed write are on standard error, and the log is JSON to its last line",
  async () => {
    const folder = await temporaryFolder()
    const rulesDir = path.join(folder.path, 'rules')
    await mkdir(rulesDir)
    await writeFile(path.join(rulesDir, 'all.json'), ruleText())
    const dataDir = path.join(folder.path, 'data')
    const sluice = startSluice(['start'], {
      SLUICE_DATA_DIR: dataDir,
      SLUICE_RULES_DIR: rulesDir,
      SLUICE_AUTH: 'off',
      SLUICE_ACCOUNT_ID: accountId,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: 'any',
      AWS_SECRET_ACCESS_KEY: 'any',
      // Nothing listens there: what is accepted stays on the disk.
      AWS_ENDPOINT_URL_KINESIS: 'http://127.0.0.1:9',
      AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:9',
    })
    const ports = await sluice.ready()
    const client = await connectFiller(ports)
    onTestFinished(async () => {
      await client.endAsync(true)
      sluice.kill('SIGKILL')
      await sluice.ended
      await folder.remove()
    })
    // The file has room ahead from now on, so that what is too much fails in LMDB's own writes.
    await client.publishAsync('fill/it', 'first', { qos: 1 })
    // All pages but the first two. A write that begins below the limit is cut short without a word.
    execFileSync('prlimit', ['--pid', String(sluice.pid), '--fsize=8192:'])
    for (let n = 0; n < 20; n++) {
      client.publish('fill/it', `${n} ${'x'.repeat(1_000)}`, { qos: 1 })
    }
    await sluice.logged((each) => String(each['msg']).startsWith('outbox cannot'))
    await vi.waitFor(() => expect(sluice.stderr()).toMatch(lmdbWords), 10_000)
    // They end without a line break: on one stream with the log they would spoil a line of it.
    expect(sluice.stderr().replace(lmdbWords, '')).toBe('')
    // LMDB's package words this error in a buffer that is too short for it, so that the process may
    // end by itself from here on. That the service goes on is what the test above shows.
    sluice.kill('SIGKILL')
    await sluice.ended
    expect(sluice.logLines.filter(({ level }) => level === undefined)).toEqual([])
  },
)

async function connectFiller(ports: LogLine) {
  const client = await connectAsync(`mqtt://127.0.0.1:${String(ports['mqtt'])}`, {
    clientId: 'filler',
    clean: false,
    reconnectPeriod: 100,
  })
  client.on('error', () => undefined) // it connects again by itself
  return client
}

const lmdbWords = /Write error: [A-Z][a-z ]+ position \d+, size \d+/g

function ruleText(): string {
  const roleArn = `arn:aws:iam::${accountId}:role/write`
  const kinesis = { roleArn, streamName: 'filled', partitionKey: 'one' }
  return JSON.stringify({ sql: "SELECT * FROM 'fill/#'", actions: [{ kinesis }] })
}

async function metric(port: unknown, name: string): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${String(port)}/v1/metrics`)
  const line = (await answer.text()).split('\n').find((each) => each.startsWith(`${name} `))
  return Number(line?.slice(name.length) ?? 0)
}
