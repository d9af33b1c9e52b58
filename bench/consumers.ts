import { PutRecordsCommand, KinesisClient } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { consume } from '../src/consumers/consume.ts'

/**
 * `node dist-bench/bench/consumers.js`: consumers of one shard that is written at its limit, 1,000
 * records of 200 bytes a second. Lab and writer are processes of their own, so that the time that
 * is measured here is the consumer's.
 */
const { values, positionals } = parseArgs({
  options: { seconds: { type: 'string', default: '15' } },
  allowPositionals: true,
})
const [role, labPort] = positionals
const seconds = Number(values.seconds)
const recordBytes = 200
const recordsPerSecond = 1_000
const writesPerSecond = 20
const streamName = 'bench'

interface Address {
  readonly port: number
}

const access = ({ port }: Address) => ({
  region: 'us-east-1',
  endpoint: `http://127.0.0.1:${port}`,
  credentials: { accessKeyId: 'sluice-lab', secretAccessKey: 'sluice-lab' },
})

if (role === 'lab') await runLab()
else if (role === 'write') await write(Number(labPort))
else await measure()

async function runLab(): Promise<void> {
  const { createLabServer } = await import('../src/lab/server/lab-server.ts')
  const lab = await createLabServer({
    host: '127.0.0.1',
    port: 0,
    region: 'us-east-1',
    accountId: '000000000000',
    limits: { writes: true, reads: true, fanOut: true },
  })
  lab.ensureStream(streamName, 1)
  process.send?.({ port: lab.port })
}

/** Writes at the limit of the shard; each record says when it was written. */
async function write(port: number): Promise<void> {
  const client = new KinesisClient({ ...access({ port }), requestHandler: new NodeHttpHandler() })
  const perWrite = recordsPerSecond / writesPerSecond
  let sent = 0
  setInterval(() => {
    const nowMs = Date.now()
    const Records = Array.from({ length: perWrite }, () => ({
      PartitionKey: String(sent++),
      Data: Buffer.from(String(nowMs).padEnd(recordBytes, ' ')),
    }))
    void client.send(new PutRecordsCommand({ StreamName: streamName, Records }))
  }, 1_000 / writesPerSecond)
}

async function measure(): Promise<void> {
  const file = process.argv[1] ?? ''
  const lab = fork(file, ['lab'])
  const [address] = (await once(lab, 'message')) as [Address]
  const writer = fork(file, ['write', String(address.port)])
  console.log('| consumer | records/s | share of a core | p50 | p99 | max |')
  console.log('|---|---|---|---|---|---|')
  for (const fanOut of [false, true]) console.log(await row(address, fanOut))
  writer.kill()
  lab.kill()
}

async function row(address: Address, fanOut: boolean): Promise<string> {
  let delaysMs: number[] = []
  const consumer = await consume({
    ...access(address),
    stream: streamName,
    from: 'LATEST',
    fanOut,
    handler: ({ records }) => {
      const nowMs = Date.now()
      for (const { data } of records) delaysMs.push(nowMs - Number(data.toString('latin1', 0, 13)))
    },
  })
  // What is loaded and compiled first does not count.
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  delaysMs = []
  const before = process.cpuUsage()
  const startedMs = performance.now()
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
  const elapsedMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(before)
  const sorted = delaysMs.toSorted((a, b) => a - b)
  const at = (share: number) => `${sorted[Math.floor((sorted.length - 1) * share)] ?? 0} ms`
  const rate = Math.round(sorted.length / (elapsedMs / 1_000))
  const share = `${(((user + system) / 1_000 / elapsedMs) * 100).toFixed(1)} %`
  await consumer.stop()
  const name = fanOut ? 'enhanced fan-out' : 'polling'
  return `| ${name} | ${rate} | ${share} | ${at(0.5)} | ${at(0.99)} | ${at(1)} |`
}
