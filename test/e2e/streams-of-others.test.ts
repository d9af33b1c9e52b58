import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
} from '@aws-sdk/client-kinesis'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'

const timeoutMs = 60_000
const roleArn = 'arn:aws:iam::123456789012:role/write'

test(
  'rules of a lab deliver to streams of other accounts and regions',
  async () => {
    const arns = [
      'arn:aws:kinesis:us-east-1:123456789012:stream/far',
      'arn:aws:kinesis:eu-west-1:123456789012:stream/far',
      'arn:aws:kinesis:eu-west-1:000000000000:stream/far',
    ]
    // The last one has a template, so that its first record makes the stream.
    const names = [arns[0], arns[1], '${"arn:aws:kinesis:eu-west-1:000000000000:stream/far"}']
    const folder = await temporaryFolder()
    const rulesDir = path.join(folder.path, 'rules')
    await mkdir(rulesDir)
    for (const [n, streamName] of names.entries()) {
      const kinesis = { roleArn, streamName, partitionKey: 'one' }
      const rule = { sql: `SELECT ${n} AS rule FROM 'far/#'`, actions: [{ kinesis }] }
      await writeFile(path.join(rulesDir, `rule_${n}.json`), JSON.stringify(rule))
    }
    const sluice = startSluice(['lab'], {
      SLUICE_DATA_DIR: path.join(folder.path, 'data'),
      SLUICE_RULES_DIR: rulesDir,
      SLUICE_FUNCTIONS_DIR: path.join(folder.path, 'functions'),
    })
    onTestFinished(async () => {
      sluice.kill('SIGKILL')
      await sluice.ended
      await folder.remove()
    })
    const ports = await sluice.ready()
    const client = await connectAsync(`mqtt://127.0.0.1:${String(ports['mqtt'])}`)
    await client.publishAsync('far/it', '{}', { qos: 1 })
    await client.endAsync()
    for (const [n, arn] of arns.entries()) {
      const read = () => textsIn(String(ports['kinesis']), arn)
      await expect.poll(read, { timeout: timeoutMs }).toEqual([`{"rule":${n}}`])
    }
  },
  timeoutMs,
)

/** What the stream holds; undefined while there is none. */
async function textsIn(port: string, StreamARN: string): Promise<string[] | undefined> {
  const kinesis = new KinesisClient({
    region: StreamARN.split(':')[3] ?? '',
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })
  try {
    const { Shards = [] } = await kinesis.send(new ListShardsCommand({ StreamARN }))
    const texts: string[] = []
    for (const { ShardId } of Shards) {
      const start = { StreamARN, ShardId, ShardIteratorType: 'TRIM_HORIZON' as const }
      const { ShardIterator } = await kinesis.send(new GetShardIteratorCommand(start))
      const { Records = [] } = await kinesis.send(new GetRecordsCommand({ ShardIterator }))
      for (const { Data } of Records) texts.push(Buffer.from(Data ?? []).toString())
    }
    return texts
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'ResourceNotFoundException') return undefined
    throw thrown
  } finally {
    kinesis.destroy()
  }
}
