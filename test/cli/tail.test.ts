import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { ListStreamConsumersCommand, PutRecordCommand } from '@aws-sdk/client-kinesis'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { textLine } from '../../src/cli/terminal/record-line.ts'
import { writeRunningEngine } from '../../src/app/running-engine.ts'
import { numbered, putTexts, temporaryFolder } from '../consumers/consumer-parts.ts'
import { createRecordedCalls } from '../../src/lab/calls/recorded-calls.ts'
import type { RecordedCalls } from '../../src/lab/calls/recorded-calls.ts'
import { startServer } from '../http/http-fixtures.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'

/** A lab with the stream s, found by its data folder; `sluice tail` with these words. */
async function start() {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  const dataDir = temporaryFolder()
  await writeRunningEngine(dataDir, 'lab', {
    kinesis: { host: '127.0.0.1', port: lab.port },
    region: 'us-east-1',
    processId: process.pid,
  })
  const tail = async (...words: string[]) => {
    const host = createTestHost({ SLUICE_DATA_DIR: dataDir })
    const done = createProgram(host).parseAsync(['tail', ...words], { from: 'user' })
    return { host, done, lines: () => host.written.stdout.split('\n').slice(0, -1) }
  }
  return { lab, kinesis: kinesisClient(lab), tail }
}

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('sluice tail', () => {
  test('prints time, age, shard, key, data and number, and says what it reads', async () => {
    const { lab, kinesis, tail } = await start()
    await putTexts(kinesis, 's', ['{"temp":61.5}'], () => '7')
    const { host, done, lines } = await tail('s', '--limit', '1')
    await done
    expect(lines()).toEqual([
      expect.stringMatching(/^[\d:.]{12} {2} +\d+ms {2}shard 0 {2}7 {2}\{"temp":61\.5\} {2}#1$/),
    ])
    expect(host.written.stderr).toBe(`s on the lab at http://127.0.0.1:${lab.port}, Ctrl-C ends\n`)
  })

  test('--json loses nothing', async () => {
    const { lab, kinesis, tail } = await start()
    await kinesis.send(
      new PutRecordCommand({ StreamName: 's', PartitionKey: 'k', Data: Buffer.from([255, 0, 10]) }),
    )
    const { done, lines } = await tail('s', '--limit', '1', '--json')
    await done
    const [record] = lab.streams.records('s')
    expect(lines().map((line) => JSON.parse(line) as unknown)).toEqual([
      {
        shardId: 'shardId-000000000000',
        sequenceNumber: record?.sequenceNumber,
        partitionKey: 'k',
        approximateArrivalTimestamp: new Date(record?.arrivalMs ?? 0).toISOString(),
        data: '/wAK',
      },
    ])
  })

  test('--from latest begins with what is to come, until it is stopped', async () => {
    const { kinesis, tail } = await start()
    await putTexts(kinesis, 's', ['old'])
    const { host, done, lines } = await tail('s', '--from', 'latest', '--json')
    await later(100)
    await putTexts(kinesis, 's', ['new'])
    while (lines().length === 0) await later(10)
    host.stop()
    await done
    expect(lines()).toHaveLength(1)
  })

  test('--from an age leaves out what is older', async () => {
    const { kinesis, tail } = await start()
    await putTexts(kinesis, 's', numbered(3))
    const { done, lines } = await tail('s', '--from', '1h', '--limit', '3')
    await done
    expect(lines()).toHaveLength(3)
  })

  test('--fan-out registers a consumer, and takes it away again', async () => {
    const { kinesis, tail } = await start()
    await putTexts(kinesis, 's', numbered(2))
    const { done, lines } = await tail('s', '--fan-out', '--limit', '2')
    await done
    expect(lines()).toHaveLength(2)
    const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
    const { Consumers } = await kinesis.send(new ListStreamConsumersCommand({ StreamARN }))
    expect(Consumers?.filter(({ ConsumerStatus }) => ConsumerStatus === 'ACTIVE')).toEqual([])
  })

  test('--endpoint reads from there, whatever runs on the data folder', async () => {
    const { lab, kinesis } = await start()
    await putTexts(kinesis, 's', numbered(1))
    const endpoint = `http://127.0.0.1:${lab.port}`
    const host = createTestHost({ SLUICE_DATA_DIR: temporaryFolder() })
    const words = ['tail', 's', '--limit', '1', '--endpoint', endpoint, '--region', 'us-east-1']
    await createProgram(host).parseAsync(words, { from: 'user' })
    expect(host.written.stdout).toMatch(/#1\n$/)
    expect(host.written.stderr).toBe(`s on ${endpoint}, Ctrl-C ends\n`)
  })

  test.each(['{', '[]', '{"processId": 1}', '{"processId": 1, "region": "a", "kinesis": 7}', ''])(
    'takes a damaged state file for absent, with one line: %j',
    async (text) => {
      const dataDir = temporaryFolder()
      writeFileSync(path.join(dataDir, 'lab.json'), text)
      const host = createTestHost({ SLUICE_DATA_DIR: dataDir, SLUICE_HTTP_HOST: '0.0.0.0' })
      await expect(
        createProgram(host).parseAsync(['tail', 's'], { from: 'user' }),
      ).rejects.toMatchObject({
        code: 'ConfigInvalid',
        message: expect.stringMatching(/^no lab runs on .*--region, or AWS_REGION$/) as string,
      })
      expect(host.written.stderr).toBe(`${dataDir}/lab.json is damaged, and counts as absent\n`)
    },
  )

  test('says which stream is not there, and where it looked', async () => {
    const { lab, tail } = await start()
    const { done } = await tail('absent')
    await expect(done).rejects.toMatchObject({
      code: 'ResourceNotFoundException',
      message: expect.stringContaining(
        `cannot read absent from the lab at http://127.0.0.1:${lab.port}: Stream absent`,
      ),
    })
  })
})

const record = (data: Buffer, partitionKey = 'k') => ({
  shardId: 'shardId-000000000012',
  sequenceNumber: '49',
  partitionKey,
  data,
  approximateArrivalMs: 0,
})

const lineOf = (data: Buffer, key?: string) =>
  textLine({ isTTY: false, write: () => undefined }, record(data, key), 90_000)

describe('a line for a person', () => {
  test.each([
    ['joins the lines of a document', '{\n  "a": 1\n}\n', '{ "a": 1 }'],
    ['lets nothing into the terminal', '\u001B[31mred\u0007', '\\x1b[31mred\\x07'],
    ['shows text of any language', 'Grüße, 温度', 'Grüße, 温度'],
  ])('%s', (_, text, shown) => {
    expect(lineOf(Buffer.from(text))).toBe(`00:00:00.000   90.0s  shard 12  k  ${shown}  49\n`)
  })

  test('shows the end of a long sequence number', () => {
    const sequenceNumber = '49590338271490256608559692538361571095921575989136588898'
    const output = { isTTY: false, write: () => undefined }
    const line = textLine(output, { ...record(Buffer.from('x')), sequenceNumber }, 0)
    expect(line).toMatch(/ {2}x {2}\.\.989136588898\n$/)
  })

  test('shows the beginning of bytes that are no text', () => {
    expect(lineOf(Buffer.from([0xff, 0xfe, 1]))).toContain('3 bytes fffe01')
    expect(lineOf(Buffer.alloc(100, 0xff))).toContain(`100 bytes ${'ff'.repeat(64)}...`)
  })
})

const call = (messageId: string, at = '2026-01-01T00:00:00.000Z') => ({
  at,
  ruleName: 'r',
  actionIndex: 0,
  kind: 'sqs' as const,
  operation: 'SendMessage',
  parameters: { MessageBody: 'a\nb' },
  topic: 'dt/7',
  messageId,
})

async function startCalls(calls: RecordedCalls) {
  const { port } = await startServer({ dependencies: { labCalls: calls } })
  const dataDir = temporaryFolder()
  await writeRunningEngine(dataDir, 'lab', {
    kinesis: { host: '127.0.0.1', port: 1 },
    http: { host: '127.0.0.1', port, tls: false },
    region: 'us-east-1',
    processId: process.pid,
  })
  return (...words: string[]) => {
    const host = createTestHost({ SLUICE_DATA_DIR: dataDir })
    const done = createProgram(host).parseAsync(['tail', ...words], { from: 'user' })
    return { host, done, lines: () => host.written.stdout.split('\n').slice(0, -1) }
  }
}

describe('sluice tail --calls', () => {
  test('prints what is recorded and what comes, each call once', async () => {
    const calls = createRecordedCalls()
    for (let index = 0; index < 1_500; index++) calls.add(call(String(index)))
    const tail = await startCalls(calls)
    const { done, lines } = tail('--calls', '--json', '--limit', '1502')
    while (lines().length < 1_500) await later(10)
    calls.add(call('1500'))
    calls.add(call('1501'))
    await done
    const ids = lines().map((line) => (JSON.parse(line) as { messageId: string }).messageId)
    expect(ids).toEqual(Array.from({ length: 1_502 }, (_, index) => String(index)))
  })

  test('--from leaves out older ones, and a line is for a person', async () => {
    const calls = createRecordedCalls()
    calls.add(call('old', '2025-01-01T00:00:00.000Z'))
    calls.add(call('new'))
    const { at, kind, operation, parameters } = call('of a mapping')
    calls.add({ at, mapping: 'uuid', kind, operation, parameters })
    const tail = await startCalls(calls)
    const { done, lines } = tail('--calls', '--from', '2025-06-01T00:00:00Z', '--limit', '2')
    await done
    expect(lines()).toEqual([
      '00:00:00.000  r actions[0]  sqs SendMessage  {"MessageBody":"a\\nb"}  dt/7',
      '00:00:00.000  mapping uuid  sqs SendMessage  {"MessageBody":"a\\nb"}',
    ])
  })

  test('a lab that began anew is read from its beginning', () => {
    const calls = createRecordedCalls()
    calls.add(call('1'))
    expect(calls.list({ maxResults: 10, nextToken: '7' })).toMatchObject({
      calls: [{ messageId: '1' }],
      resumeToken: '1',
    })
    expect(calls.list({ maxResults: 10, nextToken: '1' }).calls).toEqual([])
  })
})
