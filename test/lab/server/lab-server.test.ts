import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  ListStreamsCommand,
  PutRecordCommand,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createLabServer } from '../../../src/lab/server/lab-server.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { accountId, kinesisClient, rawCall, region, startLab } from '../lab-fixtures.ts'

/** The first two bits of the MD5 pick one of four even shards. */
const shardOf = (key: string) =>
  `shardId-00000000000${(createHash('md5').update(key).digest()[0] ?? 0) >> 6}`

describe.each(['HTTP/1.1', 'HTTP/2'] as const)('the SDK over %s', (version) => {
  test('puts a record and reads it back', async () => {
    const lab = await startLab()
    lab.ensureStream('readings', 1)
    const client = kinesisClient(lab, version)

    const put = await client.send(
      new PutRecordCommand({
        StreamName: 'readings',
        PartitionKey: 'device-1',
        Data: Buffer.from([0, 255, 10]),
      }),
    )
    expect(put).toMatchObject({ ShardId: 'shardId-000000000000' })
    expect(put.SequenceNumber).toMatch(/^49\d{54}$/)
    expect(put.$metadata.requestId).toMatch(/^[0-9a-f-]{36}$/)

    const { ShardIterator } = await client.send(
      new GetShardIteratorCommand({
        StreamName: 'readings',
        ShardId: 'shardId-000000000000',
        ShardIteratorType: 'TRIM_HORIZON',
      }),
    )
    const got = await client.send(new GetRecordsCommand({ ShardIterator }))
    expect(got.Records).toHaveLength(1)
    expect(got.Records?.[0]).toMatchObject({
      PartitionKey: 'device-1',
      SequenceNumber: put.SequenceNumber,
      Data: new Uint8Array([0, 255, 10]),
    })
    expect(Date.now() - Number(got.Records?.[0]?.ApproximateArrivalTimestamp)).toBeLessThan(5_000)
    expect(got.MillisBehindLatest).toBe(0)
    expect(
      lab.calls.list().map((call) => [call.protocol, call.operation, call.streamName]),
    ).toEqual(
      ['PutRecord', 'GetShardIterator', 'GetRecords'].map((name) => [version, name, 'readings']),
    )
  })

  test('puts a batch: one result per record, in order, in the shard of its key', async () => {
    const lab = await startLab()
    lab.ensureStream('readings', 4)
    const keys = Array.from({ length: 500 }, (_, index) => `device-${index}`)
    const answer = await kinesisClient(lab, version).send(
      new PutRecordsCommand({
        StreamName: 'readings',
        Records: keys.map((key) => ({ PartitionKey: key, Data: Buffer.from(key) })),
      }),
    )
    expect(answer.FailedRecordCount).toBe(0)
    expect(answer.Records?.map((record) => record.ShardId)).toEqual(keys.map(shardOf))

    const stored = lab.streams.records('readings')
    expect(stored).toHaveLength(500)
    for (const record of stored) expect(record.data.toString()).toBe(record.partitionKey)
    const placeOf = new Map(stored.map((record) => [record.partitionKey, record.sequenceNumber]))
    expect(answer.Records?.map((record) => record.SequenceNumber)).toEqual(
      keys.map((key) => placeOf.get(key)),
    )
  })

  test('gives errors of the API', async () => {
    const lab = await startLab()
    const put = new PutRecordCommand({ StreamName: 'none', PartitionKey: 'k', Data: Buffer.of(1) })
    await expect(kinesisClient(lab, version).send(put)).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: 'Stream none under account 000000000000 not found.',
      $metadata: { httpStatusCode: 400 },
    })
  })

  test('sends a body of 5 MiB', async () => {
    const lab = await startLab()
    lab.ensureStream('large')
    const records = Array.from({ length: 5 }, (_, index) => ({
      PartitionKey: `k${index}`,
      Data: Buffer.alloc(1024 * 1024 - 16, index),
    }))
    const command = new PutRecordsCommand({ StreamName: 'large', Records: records })
    expect(await kinesisClient(lab, version).send(command)).toMatchObject({ FailedRecordCount: 0 })
    expect(lab.streams.records('large')).toHaveLength(5)
  })
})

describe('streams', () => {
  test.each([
    [0n, 'shardId-000000000000'],
    [(1n << 128n) / 3n - 1n, 'shardId-000000000000'],
    [(1n << 128n) / 3n, 'shardId-000000000001'],
    [((1n << 128n) / 3n) * 2n, 'shardId-000000000002'],
    [(1n << 128n) - 1n, 'shardId-000000000002'],
  ])('the explicit hash key %s goes to %s of three', async (hashKey, shardId) => {
    const lab = await startLab()
    lab.ensureStream('s', 3)
    const input = {
      StreamName: 's',
      PartitionKey: 'k',
      Data: '',
      ExplicitHashKey: String(hashKey),
    }
    expect((await rawCall(lab, 'PutRecord', input)).output).toMatchObject({ ShardId: shardId })
  })

  test('a put makes a missing stream, if the lab is told to, also after it was deleted', async () => {
    const lab = await startLab({ createsMissingStreams: true, shardCount: 2 })
    const input = { StreamName: 'new', PartitionKey: 'k', Data: '' }
    expect(await rawCall(lab, 'PutRecord', input)).toMatchObject({ status: 200 })
    await rawCall(lab, 'DeleteStream', { StreamName: 'new' })
    expect(lab.streams.names()).toEqual([])
    const batch = { StreamName: 'new', Records: [{ PartitionKey: 'k', Data: '' }] }
    expect(await rawCall(lab, 'PutRecords', batch)).toMatchObject({ status: 200 })
    expect(lab.streams.records('new')).toHaveLength(1)
    // Reading makes none.
    expect((await rawCall(lab, 'DescribeStream', { StreamName: 'other' })).status).toBe(400)
  })

  test('the order of a put after another is checked against the stream', async () => {
    const lab = await startLab()
    lab.ensureStream('s', 2)
    const put = (more: object) =>
      rawCall(lab, 'PutRecord', { StreamName: 's', PartitionKey: 'k', Data: '', ...more })
    const first = String((await put({})).output['SequenceNumber'])
    const second = await put({ SequenceNumberForOrdering: first })
    expect(BigInt(String(second.output['SequenceNumber']))).toBeGreaterThan(BigInt(first))
    const later = first.replace(/^(49\d{13}\d{8})0/, '$19')
    expect(await put({ SequenceNumberForOrdering: later })).toMatchObject({
      type: 'InvalidArgumentException',
    })
  })
})

describe('the port', () => {
  test('says what it is to a browser', async () => {
    const lab = await startLab()
    const response = await fetch(`http://127.0.0.1:${lab.port}/`)
    expect(response.status).toBe(200)
    expect(await response.text()).toContain(`http://127.0.0.1:${lab.port} kinesis list-streams`)
    const post = await fetch(`http://127.0.0.1:${lab.port}/`, { method: 'POST', body: 'x' })
    expect(post.status).toBe(400)
  })

  test('that is taken: an error that names it', async () => {
    const lab = await startLab()
    await expect(
      createLabServer({ host: '127.0.0.1', port: lab.port, region, accountId }),
    ).rejects.toMatchObject({
      code: 'PortUnavailable',
      message: expect.stringContaining(`127.0.0.1:${lab.port}: the port is in use`) as string,
    })
  })

  test('on an address that this machine does not have: an error that names it', async () => {
    await expect(
      createLabServer({ host: '192.0.2.1', port: 4567, region, accountId }),
    ).rejects.toMatchObject({
      code: 'PortUnavailable',
      message: expect.stringContaining(
        '192.0.2.1:4567: this machine does not have that address',
      ) as string,
    })
  })

  test('recognises the preface of HTTP/2 byte by byte', async () => {
    const lab = await startLab()
    const socket = connect(lab.port, '127.0.0.1')
    socket.setNoDelay(true)
    await once(socket, 'connect')
    const settingsFrame = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])
    for (const byte of Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')) {
      await new Promise((resolve) => socket.write(Buffer.of(byte), resolve))
    }
    socket.write(settingsFrame)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    // The server's own SETTINGS comes first.
    expect(answer[3]).toBe(4)
    socket.destroy()
  })

  test.each([
    'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n',
  ])('recognises HTTP/1.1 byte by byte: %j', async (request) => {
    const lab = await startLab()
    const socket = connect(lab.port, '127.0.0.1')
    await once(socket, 'connect')
    for (const byte of Buffer.from(request)) {
      await new Promise((resolve) => socket.write(Buffer.of(byte), resolve))
    }
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 [24]00 /)
    socket.destroy()
  })

  test('outlives clients that speak neither', async () => {
    const lab = await startLab()
    const socket = connect(lab.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 0, 0]))
    await once(socket, 'close')
    expect(await rawCall(lab, 'ListStreams', {})).toMatchObject({ status: 200 })
  })

  test.each(['HTTP/1.1', 'HTTP/2'] as const)(
    'refuses a body over 16 MiB over %s',
    async (version) => {
      const lab = await startLab()
      lab.ensureStream('s')
      const command = new PutRecordsCommand({
        StreamName: 's',
        Records: [{ PartitionKey: 'k', Data: Buffer.alloc(14 * 1024 * 1024) }],
      })
      await expect(kinesisClient(lab, version).send(command)).rejects.toMatchObject({
        name: 'RequestEntityTooLargeException',
        $metadata: { httpStatusCode: 413 },
      })
      expect(lab.streams.records('s')).toEqual([])
    },
  )

  // At once is before any timeout of Node's servers, which are of five seconds and more.
  test('closes at once, whoever is connected', { timeout: 4_000 }, async () => {
    // Time stands still: there is nothing that it could wait out.
    const clock = createManualClock()
    const lab = await createLabServer({ host: '127.0.0.1', port: 0, region, accountId, clock })
    const idle = connect(lab.port, '127.0.0.1')
    const session = connectHttp2(`http://127.0.0.1:${lab.port}`)
    session.on('error', () => undefined)
    await Promise.all([once(idle, 'connect'), once(session, 'remoteSettings')])
    await kinesisClient(lab).send(new ListStreamsCommand({}))
    const gone = Promise.all([once(idle, 'close'), once(session, 'close')])
    await lab.close()
    await gone
    await expect(rawCall(lab, 'ListStreams', {})).rejects.toThrow('fetch failed')
  })
})
