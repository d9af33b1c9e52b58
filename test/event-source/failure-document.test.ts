import { expect, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { failureDocument } from '../../src/event-source/failure-files.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { numbered, putTexts } from '../consumers/consumer-parts.ts'
import { printing, startMappings } from './mapping-parts.ts'

const DestinationConfig = { OnFailure: { Destination: 'arn:aws:sqs:us-east-1:000000000000:q' } }
const uuidForm = expect.stringMatching(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)

test('a function that reports failures has no error, and the document says null', async () => {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  await putTexts(kinesisClient(lab), 's', numbered(3))
  const run = await startMappings(lab, {
    'f.mjs': printing(`return { batchItemFailures: [
      { itemIdentifier: event.Records[0].kinesis.sequenceNumber }] }`),
  })
  const uuid = await run.create({
    MaximumRetryAttempts: 1,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    DestinationConfig,
  })
  await run.until(() => run.failures(uuid).length === 1)
  expect(run.failures(uuid)[0]).toMatchObject({
    requestContext: {
      requestId: uuidForm,
      condition: 'RetryAttemptsExhausted',
      approximateInvokeCount: 2,
    },
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: null },
    KinesisBatchInfo: { batchSize: 3 },
  })
})

test.each<[string, Record<string, string>]>([
  ['were never handed over', { 'f.json': '{"invokeUrl": "http://127.0.0.1:1"}' }],
  ['were handed over before', { 'f.mjs': printing(`throw new Error('no')`) }],
])('records that grew too old and %s have no response', async (_, functions) => {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  await putTexts(kinesisClient(lab), 's', ['1'])
  let aheadMs = 0
  const clock = {
    ...systemClock,
    monotonicMs: () => systemClock.monotonicMs() + aheadMs,
    sleep: (delayMs: number, signal?: AbortSignal) => systemClock.sleep(delayMs / 10, signal),
  }
  const run = await startMappings(lab, functions, { clock })
  const uuid = await run.create({ MaximumRecordAgeInSeconds: 60, DestinationConfig })
  await run.until(() => run.logLines.some(({ reason }) => reason !== undefined))
  aheadMs = 61_000
  await run.until(() => run.failures(uuid).length === 1)
  const [document] = run.failures(uuid)
  expect(document).toMatchObject({
    requestContext: { requestId: uuidForm, condition: 'RecordAgeExceeded' },
    KinesisBatchInfo: { batchSize: 1 },
  })
  expect(document).toHaveProperty('requestContext.approximateInvokeCount', expect.any(Number))
  expect(document).not.toHaveProperty('requestContext.approximateInvokeCount', 0)
  expect(document).not.toHaveProperty('responseContext')
})

test('a batch that was never invoked has a request id of its own and counts once', () => {
  const record = { sequenceNumber: '1', approximateArrivalMs: 0 }
  const document = failureDocument(
    {
      condition: 'RecordAgeExceeded',
      requestId: '',
      functionArn: 'arn:aws:lambda:us-east-1:000000000000:function:f',
      invokeCount: 0,
      shardId: 'shardId-000000000000',
      streamArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
      records: { first: record, last: record, count: 1 },
    },
    0,
  )
  expect(document).toMatchObject({
    requestContext: { requestId: uuidForm, approximateInvokeCount: 1 },
  })
  expect(document).not.toHaveProperty('responseContext')
})
