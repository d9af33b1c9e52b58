import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { RegisterStreamConsumerCommand } from '@aws-sdk/client-kinesis'
import { describe, expect, test } from 'vitest'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { numbered, putTexts } from '../consumers/consumer-parts.ts'
import { printing, startMappings, streamArn, textsOf } from './mapping-parts.ts'

async function labWith(texts: readonly string[], shardCount = 1, keyOf?: (text: string) => string) {
  const lab = await startLab()
  lab.ensureStream('s', shardCount)
  const kinesis = kinesisClient(lab)
  await putTexts(kinesis, 's', texts, keyOf)
  return { lab, kinesis }
}

const failing = (condition: string) => printing(`if (${condition}) throw new Error('no')`)
const byNumber = (texts: readonly string[]) => texts.toSorted((a, b) => Number(a) - Number(b))

describe('a mapping', () => {
  test('remembers its last batches, and forgets them when it is deleted', async () => {
    const { lab } = await labWith(numbered(25), 1, () => 'key')
    const run = await startMappings(lab, {
      'f.mjs': printing(`
        if (textOf(event.Records[0]) === '0' && globalThis.seen === undefined) {
          globalThis.seen = true
          throw new Error('no room for ' + 'x'.repeat(500))
        }`),
    })
    const uuid = await run.create({ BatchSize: 1, StartingPosition: 'TRIM_HORIZON' })
    await run.until(() => run.texts().length === 26)
    await expect.poll(() => run.mappings.recentBatches(uuid)[0]?.at).toBeDefined()
    const batches = run.mappings.recentBatches(uuid)
    expect(batches).toHaveLength(20)
    expect(batches[0]).toEqual({
      at: expect.stringMatching(/^\d{4}-.*Z$/),
      shardId: 'shardId-000000000000',
      records: 1,
      durationMs: expect.any(Number),
      iteratorAgeMs: expect.any(Number),
      outcome: 'succeeded',
      givenUp: 0,
      reason: undefined,
    })
    await run.mappings.delete(uuid)
    await expect.poll(() => run.mappings.list({}).EventSourceMappings).toEqual([])
    expect(() => run.mappings.recentBatches(uuid)).toThrow('does not exist')
  })

  test('remembers why a batch failed, and what was given up', async () => {
    const { lab } = await labWith(['a', 'b'], 1, () => 'key')
    const run = await startMappings(lab, { 'f.mjs': failing('true') })
    const uuid = await run.create({ MaximumRetryAttempts: 1 })
    await expect.poll(() => run.mappings.recentBatches(uuid).length, { timeout: 5_000 }).toBe(2)
    expect(run.mappings.recentBatches(uuid)).toMatchObject([
      { records: 2, outcome: 'failed', givenUp: 2, reason: 'Error: no' },
      { records: 2, outcome: 'failed', givenUp: 0, reason: 'Error: no' },
    ])
  })

  test('sends events in exactly the form of Lambda', async () => {
    const { lab } = await labWith(['hello'], 1, () => 'key')
    const run = await startMappings(lab, {
      'f.mjs': printing(`console.log('CONTEXT ' + JSON.stringify({
        ...context, left: context.getRemainingTimeInMillis() > 0, region: process.env.AWS_REGION }))`),
    })
    await run.create({})
    await run.until(() => run.logLines.some(({ msg }) => String(msg).startsWith('CONTEXT')))
    const [stored] = lab.streams.records('s')
    const sequenceNumber = stored?.sequenceNumber ?? ''
    expect(run.events()).toEqual([
      {
        Records: [
          {
            kinesis: {
              kinesisSchemaVersion: '1.0',
              partitionKey: 'key',
              sequenceNumber,
              data: Buffer.from('hello').toString('base64'),
              approximateArrivalTimestamp: (stored?.arrivalMs ?? 0) / 1_000,
            },
            eventSource: 'aws:kinesis',
            eventVersion: '1.0',
            eventID: `shardId-000000000000:${sequenceNumber}`,
            eventName: 'aws:kinesis:record',
            invokeIdentityArn: 'arn:aws:iam::000000000000:role/lambda-role',
            awsRegion: 'us-east-1',
            eventSourceARN: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
          },
        ],
      },
    ])
    const context = run.logLines.find(({ msg }) => String(msg).startsWith('CONTEXT'))
    expect(JSON.parse(String(context?.['msg']).slice(8))).toMatchObject({
      functionName: 'f',
      functionVersion: '$LATEST',
      invokedFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:f',
      awsRequestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      left: true,
      region: 'us-east-1',
    })
    expect(context).toMatchObject({ function: 'f' })
  })

  test('keeps to BatchSize', async () => {
    const { lab } = await labWith(numbered(25))
    const run = await startMappings(lab, { 'f.mjs': printing() })
    await run.create({ BatchSize: 10 })
    await run.until(() => run.texts().length === 25)
    expect(run.events().map(({ Records }) => Records.length)).toEqual([10, 10, 5])
    expect(run.texts()).toEqual(numbered(25))
  })

  test('waits for a full batch as long as its window', async () => {
    const { lab, kinesis } = await labWith([])
    const run = await startMappings(lab, { 'f.mjs': printing() })
    await run.create({ BatchSize: 4, MaximumBatchingWindowInSeconds: 300 })
    for (const text of numbered(9)) await putTexts(kinesis, 's', [text])
    await run.until(() => run.texts().length === 8)
    expect(run.events().map(textsOf)).toEqual([numbered(4), numbered(4, 4)])
  })

  test('reads by enhanced fan-out when its source is a consumer', async () => {
    const { lab, kinesis } = await labWith(numbered(5))
    const { Consumer } = await kinesis.send(
      new RegisterStreamConsumerCommand({ StreamARN: streamArn('s'), ConsumerName: 'c' }),
    )
    const run = await startMappings(lab, { 'f.mjs': printing() })
    await run.create({ EventSourceArn: Consumer?.ConsumerARN })
    await run.until(() => run.texts().length === 5)
    expect(run.texts()).toEqual(numbered(5))
    expect(lab.calls.list().map(({ operation }) => operation)).not.toContain('GetRecords')
  })

  test('splits what is more than 6 MB in an event', async () => {
    const big = 'x'.repeat(900_000)
    const { lab } = await labWith([])
    const kinesis = kinesisClient(lab)
    for (const text of numbered(8)) await putTexts(kinesis, 's', [`${big}${text}`])
    const run = await startMappings(lab, {
      'f.mjs': `export const handler = async (event) => {
        const size = JSON.stringify(event).length
        console.log('SIZE ' + event.Records.length + ' ' + (size <= 6291456))
      }`,
    })
    await run.create({})
    const sizes = () => run.logLines.flatMap(({ msg }) => /^SIZE .*$/.exec(String(msg)) ?? [])
    await run.until(() => sizes().length === 2)
    expect(sizes()).toEqual(['SIZE 5 true', 'SIZE 3 true'])
  })

  test('with ParallelizationFactor keeps the order of each key', async () => {
    const { lab } = await labWith(numbered(400))
    const run = await startMappings(lab, {
      'f.mjs': printing('await new Promise((done) => setTimeout(done, Math.random() * 4))'),
    })
    await run.create({ BatchSize: 10, ParallelizationFactor: 3 })
    await run.until(() => run.texts().length === 400)
    expect(byNumber(run.texts())).toEqual(numbered(400))
    for (const key of numbered(10)) {
      const ofKey = run.texts().filter((text) => text.endsWith(key))
      expect(ofKey).toEqual(byNumber(ofKey))
    }
  })

  test('sends only what a filter accepts, and passes the rest', async () => {
    const { lab } = await labWith(
      ['{"temp":10}', 'no json', '{"temp":70}', '{"temp":80}'],
      1,
      () => 'k',
    )
    const run = await startMappings(lab, { 'f.mjs': printing() })
    const Pattern = '{"data": {"temp": [{"numeric": [">", 60]}]}}'
    const mapping = await run.create({ FilterCriteria: { Filters: [{ Pattern }] } })
    await run.until(() => run.texts().length === 2)
    expect(run.texts()).toEqual(['{"temp":70}', '{"temp":80}'])
    const counts = async () => (await run.metrics.mappingRecordsFiltered.get()).values
    expect(await counts()).toMatchObject([{ labels: { mapping }, value: 2 }])
    await run.mappings.delete(mapping)
    await run.until(() => run.mappings.list({}).EventSourceMappings.length === 0)
    expect(await counts()).toEqual([])
  })

  test.each([
    ['partitionKey', '{"partitionKey": ["k"]}', ['partitionKey']],
    [
      'a member beside data in $or',
      '{"$or": [{"eventID": ["k"]}, {"data": {"a": [1]}}]}',
      ['eventID'],
    ],
    ['no other member than data', '{"data": {"temp": [1]}}', undefined],
  ])('warns of filters on %s', async (_, Pattern, members) => {
    const { lab } = await labWith([])
    const run = await startMappings(lab, { 'f.mjs': printing() })
    const mapping = await run.create({ Enabled: false, FilterCriteria: { Filters: [{ Pattern }] } })
    const warned = run.logLines.filter(({ level }) => level === 'warn')
    expect(warned).toMatchObject(members ? [{ mapping, members }] : [])
  })
})

describe('a function that', () => {
  test.each([
    ['throws', failing('true'), /Error: no/],
    ['exits', printing('process.exit(3)'), /Runtime exited with exit status 3/],
    ['hangs', printing('for (;;);'), /Task timed out after 0\.15 seconds/],
    [
      'never answers',
      printing('await new Promise(() => {})'),
      /Task timed out after 0\.15 seconds/,
    ],
    [
      'rejects behind its back',
      printing(`void Promise.reject(new Error('behind'))\n await new Promise(() => {})`),
      /behind/,
    ],
    ['returns what is no JSON', printing('return { count: 1n }'), /BigInt/],
    ['cannot be loaded', 'export const handler = (', /SyntaxError/],
    ['has no handler', 'export const other = 1', /exports no function named handler/],
  ])(
    '%s is tried again, given up as configured, and loses nothing else',
    async (_, text, reason) => {
      const { lab, kinesis } = await labWith(['1', '2'])
      // A mapping is made only for a function that loads; this one is changed behind it.
      const run = await startMappings(lab, {
        'f.mjs': printing(),
        'f.json': '{"timeoutSeconds": 0.15}',
      })
      const uuid = await run.create({
        Enabled: false,
        MaximumRetryAttempts: 1,
        DestinationConfig: { OnFailure: { Destination: 'arn:aws:sqs:us-east-1:000000000000:q' } },
      })
      await run.until(() => run.mappings.get(uuid)['State'] === 'Disabled')
      writeFileSync(path.join(run.functionsDir, 'f.mjs'), text)
      await run.mappings.update(uuid, { Enabled: true })
      await run.until(() => run.failures(uuid).length === 1)
      const records = lab.streams.records('s')
      expect(run.failures(uuid)[0]).toEqual({
        requestContext: {
          requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
          functionArn: 'arn:aws:lambda:us-east-1:000000000000:function:f',
          condition: 'RetryAttemptsExhausted',
          approximateInvokeCount: 2,
        },
        responseContext: {
          statusCode: 200,
          executedVersion: '$LATEST',
          functionError: 'Unhandled',
        },
        version: '1.0',
        timestamp: expect.stringMatching(/Z$/),
        KinesisBatchInfo: {
          shardId: 'shardId-000000000000',
          startSequenceNumber: records[0]?.sequenceNumber,
          endSequenceNumber: records[1]?.sequenceNumber,
          approximateArrivalOfFirstRecord: new Date(records[0]?.arrivalMs ?? 0).toISOString(),
          approximateArrivalOfLastRecord: new Date(records[1]?.arrivalMs ?? 0).toISOString(),
          batchSize: 2,
          streamArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
        },
      })
      expect(run.logLines.map(({ reason: given }) => String(given)).join('\n')).toMatch(reason)
      const result = String(run.mappings.get(uuid)['LastProcessingResult'])
      expect(result).toMatch(/^PROBLEM: Function call failed: /)
      expect(result).toMatch(reason)
      // It is put right, and goes on with what comes next.
      writeFileSync(path.join(run.functionsDir, 'f.mjs'), printing('/* right */'))
      await putTexts(kinesis, 's', ['3'])
      await run.until(() => run.texts().includes('3'))
      await run.until(() => run.mappings.get(uuid)['LastProcessingResult'] === 'OK')
    },
  )

  test('fails while reasons are hidden, and its error is not quoted', async () => {
    const { lab } = await labWith(['secret'])
    const poison = 'textOf(event.Records[0]) !== undefined'
    const run = await startMappings(lab, { 'f.mjs': failing(poison) }, { hidesReasons: true })
    const uuid = await run.create({ MaximumRetryAttempts: 0 })
    const result = () => run.mappings.get(uuid)['LastProcessingResult']
    await run.until(() => result() !== 'No records processed')
    expect(result()).toBe('PROBLEM: Function call failed')
  })

  test('fails on one record has the batch split until it alone is given up', async () => {
    const { lab } = await labWith(numbered(16))
    const poison = `event.Records.some((record) => textOf(record) === '5')`
    const run = await startMappings(lab, { 'f.mjs': failing(poison) })
    const uuid = await run.create({
      BisectBatchOnFunctionError: true,
      MaximumRetryAttempts: 0,
      DestinationConfig: { OnFailure: { Destination: 'arn:aws:s3:::bucket' } },
    })
    const good = () =>
      run
        .events()
        .map(textsOf)
        .filter((texts) => !texts.includes('5'))
        .flat()
    await run.until(() => good().length === 15 && run.failures(uuid).length === 1)
    expect(good()).toEqual(numbered(16).filter((text) => text !== '5'))
    const [failure] = run.failures(uuid)
    expect(failure).toMatchObject({ KinesisBatchInfo: { batchSize: 1 } })
    expect(JSON.parse(String(failure?.['payload']))).toMatchObject({
      Records: [{ kinesis: { data: 'NQ==' } }],
    })
  })

  test('reports a failed record gets the rest again from there on', async () => {
    const { lab } = await labWith(numbered(6))
    const run = await startMappings(lab, {
      'f.mjs': printing(`
        globalThis.calls = (globalThis.calls ?? 0) + 1
        const third = event.Records.find((record) => textOf(record) === '3')
        if (globalThis.calls < 3 && third) return {
          batchItemFailures: [{ itemIdentifier: third.kinesis.sequenceNumber }] }
        return { batchItemFailures: [] }`),
    })
    await run.create({ FunctionResponseTypes: ['ReportBatchItemFailures'] })
    await run.until(() => run.events().length === 3)
    expect(run.events().map(textsOf)).toEqual([numbered(6), ['3', '4', '5'], ['3', '4', '5']])
  })

  test('is not there any more is waited for', async () => {
    const { lab } = await labWith(['1'])
    const run = await startMappings(lab, { 'f.mjs': printing(), 'g.mjs': printing() })
    const uuid = await run.create({ MaximumRetryAttempts: 0, Enabled: false })
    writeFileSync(path.join(run.functionsDir, 'f.mjs'), '')
    await run.until(() => run.mappings.get(uuid)['State'] === 'Disabled')
    await run.mappings.update(uuid, { Enabled: true, FunctionName: 'g' })
    await run.until(() => run.texts().length === 1)
    expect(run.texts()).toEqual(['1'])
  })

  test('records that are too old do not reach', async () => {
    const { lab } = await labWith([])
    const run = await startMappings(lab, { 'f.mjs': printing() })
    const uuid = await run.create({
      MaximumRecordAgeInSeconds: 60,
      Enabled: false,
      DestinationConfig: { OnFailure: { Destination: 'arn:aws:sns:us-east-1:000000000000:t' } },
    })
    expect(run.failures(uuid)).toEqual([])
  })
})

test('after a stop a mapping goes on where it was', async () => {
  const { lab, kinesis } = await labWith(numbered(10))
  const first = await startMappings(lab, { 'f.mjs': printing() })
  await first.create({})
  await first.until(() => first.texts().length === 10)
  await first.stop()
  await putTexts(kinesis, 's', numbered(5, 10))
  const second = await startMappings(lab, {}, first)
  await second.until(() => second.texts().length === 5)
  expect(second.texts()).toEqual(numbered(5, 10))
})

test('a stop does not wait for a function that hangs, and its batch comes again', async () => {
  const { lab } = await labWith(numbered(3))
  const first = await startMappings(lab, {
    'f.mjs': printing('for (;;);'),
    'f.json': '{"timeoutSeconds": 900}',
  })
  await first.create({ MaximumRetryAttempts: 0 })
  await first.until(() => first.texts().length === 3)
  await first.stop()
  const second = await startMappings(lab, { 'f.mjs': printing() }, first)
  await second.until(() => second.texts().length === 3)
  expect(second.texts()).toEqual(numbered(3))
})
