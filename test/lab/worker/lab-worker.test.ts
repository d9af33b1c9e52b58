import { describe, expect, onTestFinished, test } from 'vitest'
import { startLabWorker } from '../../../src/lab/worker/lab-worker.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { accountId, rawCall, region, startLab } from '../lab-fixtures.ts'

const silent = createMemoryLogger(() => undefined)
const options = { host: '127.0.0.1', port: 0, region, accountId, logger: silent }

describe('the lab in a thread', () => {
  test('starts, makes streams, and stops', async () => {
    const worker = await startLabWorker({ ...options, createsMissingStreams: true, shardCount: 3 })
    await worker.ensureStream('a')
    await worker.ensureStream('a')
    const { output } = await rawCall(worker, 'DescribeStreamSummary', { StreamName: 'a' })
    expect(output).toMatchObject({ StreamDescriptionSummary: { OpenShardCount: 3 } })
    const put = { StreamName: 'b', PartitionKey: 'k', Data: '' }
    expect(await rawCall(worker, 'PutRecord', put)).toMatchObject({ status: 200 })
    await Promise.all([worker.close(), worker.close()])
    await expect(rawCall(worker, 'ListStreams', {})).rejects.toThrow('fetch failed')
    await expect(worker.ensureStream('c')).rejects.toMatchObject({ code: 'InternalException' })
  })

  test('tells of a port that is taken', async () => {
    const { port } = await startLab()
    await expect(startLabWorker({ ...options, port })).rejects.toMatchObject({
      code: 'PortUnavailable',
      message: expect.stringMatching(
        new RegExp(
          `^[^\\n]*127\\.0\\.0\\.1:${port}: the port is in use[^\\n]*SLUICE_LAB_PORT[^\\n]*$`,
        ),
      ) as string,
    })
  })

  test('tells of a stream that cannot be made', async () => {
    const worker = await startLabWorker({ ...options, shardCount: 20_001 })
    onTestFinished(() => worker.close())
    await expect(worker.ensureStream('a')).rejects.toMatchObject({
      code: 'InternalException',
      message: expect.stringContaining('shard limit') as string,
    })
  })

  test('logs through the logger of its parent', async () => {
    const lines: Record<string, unknown>[] = []
    const logger = createMemoryLogger((line) => lines.push(line))
    const worker = await startLabWorker({ ...options, logger, storedBytesMax: 1, shardCount: 1 })
    await worker.ensureStream('s')
    await rawCall(worker, 'PutRecord', { StreamName: 's', PartitionKey: 'k', Data: 'AAAA' })
    await worker.close()
    expect(lines).toMatchObject([{ level: 'warn', stream: 's' }])
  })

  test('logs with one time, that of its parent', async () => {
    const fields: object[] = []
    const warn = (given: object) => void fields.push(given)
    const logger = Object.assign(
      createMemoryLogger(() => undefined),
      { warn },
    )
    const worker = await startLabWorker({ ...options, logger, storedBytesMax: 1, shardCount: 1 })
    await worker.ensureStream('s')
    await rawCall(worker, 'PutRecord', { StreamName: 's', PartitionKey: 'k', Data: 'AAAA' })
    await worker.close()
    expect(fields).toEqual([expect.not.objectContaining({ time: expect.anything() })])
  })
})
