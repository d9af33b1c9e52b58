import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { KinesisClient } from '@aws-sdk/client-kinesis'
import { connectAsync } from 'mqtt'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLabServer } from '../../src/lab/server/lab-server.ts'
import type { LabServer } from '../../src/lab/server/lab-server.ts'
import { readStream } from '../helpers/read-stream.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

describe('`sluice start`, against a Kinesis of its own', () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  let lab: LabServer
  let kinesis: KinesisClient
  let sluice: SluiceProcess

  beforeEach(async () => {
    folder = await temporaryFolder()
    lab = await createLabServer({
      host: '127.0.0.1',
      port: 0,
      region: 'eu-west-1',
      accountId: '210987654321',
    })
    kinesis = new KinesisClient({
      region: 'eu-west-1',
      endpoint: `http://127.0.0.1:${lab.port}`,
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    })
    const rulesDir = path.join(folder.path, 'rules')
    await mkdir(rulesDir)
    await writeFile(
      path.join(rulesDir, 'temps.json'),
      JSON.stringify({
        sql: "SELECT n, accountid() AS account FROM 'temps/+'",
        awsIotSqlVersion: '2016-03-23',
        actions: [
          {
            kinesis: {
              roleArn: 'arn:aws:iam::210987654321:role/write',
              streamName: 'temps',
              partitionKey: '${topic(2)}',
            },
          },
        ],
      }),
    )
    sluice = start()
  })

  afterEach(async () => {
    kinesis.destroy()
    sluice.kill('SIGKILL')
    await sluice.ended
    await lab.close()
    await folder.remove()
  })

  function start(): SluiceProcess {
    const endpoint = `http://127.0.0.1:${lab.port}`
    return startSluice(['start'], {
      SLUICE_DATA_DIR: path.join(folder.path, 'data'),
      SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: 'AKIASLUICE',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_ENDPOINT_URL_KINESIS: endpoint,
      AWS_ENDPOINT_URL_STS: endpoint,
    })
  }

  async function publish(count: number): Promise<void> {
    const { mqtt } = await sluice.ready()
    const client = await connectAsync(`mqtt://127.0.0.1:${mqtt as number}`)
    for (let n = 1; n <= count; n += 1) {
      await client.publishAsync('temps/7', JSON.stringify({ n }), { qos: 1 })
    }
    await client.endAsync()
  }

  test('records wait for a stream that is missing, said once, through a `kill -9`', async () => {
    await publish(3)
    const line = await sluice.logged((each) => each['code'] === 'ResourceNotFoundException')
    expect(line).toMatchObject({ level: 'error', stream: 'temps' })
    expect(lab.streams.names()).toEqual([])
    sluice.kill('SIGKILL')
    await sluice.ended

    lab.ensureStream('temps', 2)
    sluice = start()
    const records = await readStream(kinesis, 'temps', 3)
    expect(records.map((record) => JSON.parse(record.data.toString()) as unknown)).toEqual(
      [1, 2, 3].map((n) => ({ n, account: '210987654321' })),
    )
    expect(records.every((record) => record.partitionKey === '7')).toBe(true)
  })

  test('a role that is refused keeps the records waiting, said once; then they are sent', async () => {
    lab.ensureStream('temps', 1)
    lab.faults.add({
      operation: 'AssumeRole',
      effect: { kind: 'error', code: 'AccessDenied', message: 'not authorized: sts:AssumeRole' },
    })
    await publish(2)
    const line = await sluice.logged((each) => each['level'] === 'error')
    expect(line).toMatchObject({ stream: 'temps', source: 'AssumeRole' })
    expect(line['roleArn']).toBe('arn:aws:iam::210987654321:role/write')
    lab.faults.clear()
    expect(await readStream(kinesis, 'temps', 2)).toHaveLength(2)
    expect(sluice.logLines.filter((each) => each['level'] === 'error')).toHaveLength(1)
  })
})
