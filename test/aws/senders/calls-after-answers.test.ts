import { describe, expect, onTestFinished, test } from 'vitest'
import { deniesBatch } from '../../../src/aws/call/failure-class.ts'
import type { Failure } from '../../../src/aws/call/failure-class.ts'
import { definitionOf, functionArn, lambda } from '../../actions/kinds/service-action-fixtures.ts'
import {
  destinationAt,
  openRecordingService,
  outcomesOf,
  queuedRecordsOf,
} from './recording-service.ts'
import type { RuleMessage, SentRequest, ServiceAnswer } from './recording-service.ts'
import { jsonError, messageMs } from './service-cases.ts'

/** Sends records with one sender, in as many calls as there are lists of messages. */
async function sendTo(
  definition: object,
  calls: readonly (readonly RuleMessage[])[],
  answering: (request: SentRequest, number: number) => ServiceAnswer,
) {
  const service = await openRecordingService(answering)
  const outcomes: unknown[] = []
  for (const messages of calls) {
    const { records, made } = queuedRecordsOf(definition, messages)
    const [record] = made
    if (record === undefined) throw new Error('the action made no record')
    const sender = service.aws.senderFor(destinationAt(service.endpoint, record))
    outcomes.push(outcomesOf(await sender.send(records, new AbortController().signal)))
  }
  return { requests: service.requests, outcomes }
}

const eventAt = (timestamp: number) => ({ timestamp, message: String(timestamp) })

const outputOf = (...times: number[]) => ({ output: JSON.stringify(times.map(eventAt)) })

/** An output with so many numbers. */
const measures = (count: number) =>
  JSON.stringify(
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`m${index}`, index])),
  )

const denied = (action: string) => `User: u is not authorized to perform: ${action} on resource: r`

const operationsOf = (requests: readonly SentRequest[]) =>
  requests.map(({ operation }) => operation)

describe('CloudWatch Logs', () => {
  const logs = definitionOf('cloudwatchLogs', { logGroupName: 'g', batchMode: true })
  const missingStream = jsonError(
    'ResourceNotFoundException',
    'The specified log stream does not exist.',
  )

  test.each<[string, ServiceAnswer]>([
    ['is created', { body: {} }],
    ['has been created by another call', jsonError('ResourceAlreadyExistsException')],
  ])('a missing log stream %s, and the events are written', async (_, created) => {
    const { requests, outcomes } = await sendTo(logs, [[{}]], ({ operation }, number) => {
      if (operation === 'CreateLogStream') return created
      return number === 0 ? missingStream : { body: {} }
    })
    expect(operationsOf(requests)).toEqual(['PutLogEvents', 'CreateLogStream', 'PutLogEvents'])
    expect(requests[1]?.parameters).toEqual({ logGroupName: 'g', logStreamName: 'sluice/r' })
    expect(requests[2]?.parameters).toEqual(requests[0]?.parameters)
    expect(outcomes).toEqual([['ok']])
  })

  test('a role that may not create the log stream is a condition of the destination', async () => {
    const { outcomes } = await sendTo(logs, [[{}]], ({ operation }) =>
      operation === 'CreateLogStream' ? jsonError('AccessDeniedException') : missingStream,
    )
    expect(outcomes).toEqual(['destination AccessDeniedException'])
  })

  test('events are sent in the order of time, at most a day in a call', async () => {
    const dayMs = 24 * 3_600_000
    const { requests, outcomes } = await sendTo(
      logs,
      [[outputOf(messageMs + dayMs + 1), outputOf(messageMs, messageMs + 5)]],
      // Of the second call, the only event is refused.
      (_request, number) =>
        number === 0
          ? { body: {} }
          : { body: { rejectedLogEventsInfo: { tooNewLogEventStartIndex: 0 } } },
    )
    expect(
      requests.map(({ parameters }) =>
        (parameters as { logEvents: { timestamp: number }[] }).logEvents.map(
          ({ timestamp }) => timestamp - messageMs,
        ),
      ),
    ).toEqual([[0, 5], [dayMs + 1]])
    expect(outcomes).toEqual([['record RejectedLogEvent', 'ok']])
  })
})

test('an execution that an earlier call has started counts as delivered', async () => {
  const definition = definitionOf('stepFunctions', { stateMachineName: 'm' })
  const { outcomes } = await sendTo(definition, [[{}]], () => jsonError('ExecutionAlreadyExists'))
  expect(outcomes).toEqual([['ok']])
})

test('Lambda is invoked for an event, with the credentials of the process', async () => {
  const { requests } = await sendTo(lambda(functionArn), [[{}]], () => ({ status: 202 }))
  const [{ headers } = { headers: undefined }] = requests
  expect(headers?.['x-amz-invocation-type']).toBe('Event')
  expect(headers?.authorization).toContain('Credential=AKIATEST/')
})

test('an access list goes with the object', async () => {
  const definition = definitionOf('s3', {
    bucketName: 'bucket',
    key: 'k',
    cannedAcl: 'bucket-owner-full-control',
  })
  const { requests } = await sendTo(definition, [[{}]], () => ({}))
  expect(requests[0]?.headers['x-amz-acl']).toBe('bucket-owner-full-control')
})

const timestream = definitionOf('timestream', {
  databaseName: 'd',
  tableName: 't',
  dimensions: [{ name: 'device', value: 'a' }],
})

describe('Timestream', () => {
  test('needs no discovery at an endpoint of its own, whatever the environment says', async () => {
    const before = process.env['AWS_ENABLE_ENDPOINT_DISCOVERY']
    process.env['AWS_ENABLE_ENDPOINT_DISCOVERY'] = 'true'
    onTestFinished(() => {
      if (before === undefined) delete process.env['AWS_ENABLE_ENDPOINT_DISCOVERY']
      else process.env['AWS_ENABLE_ENDPOINT_DISCOVERY'] = before
    })
    const { requests, outcomes } = await sendTo(timestream, [[{}]], () => ({ body: {} }))
    expect(operationsOf(requests)).toEqual(['WriteRecords'])
    expect(outcomes).toEqual([['ok']])
  })

  test('takes 100 measures in a call, and a message with more in two', async () => {
    const { requests, outcomes } = await sendTo(
      timestream,
      [[{ output: measures(80) }, { output: measures(80) }]],
      (_, number) =>
        number === 0
          ? { body: {} }
          : {
              status: 419,
              body: {
                __type: 'RejectedRecordsException',
                RejectedRecords: [{ RecordIndex: 59, Reason: 'too old' }],
              },
            },
    )
    expect(
      requests.map(({ parameters }) => (parameters as { Records: unknown[] }).Records.length),
    ).toEqual([100, 60])
    expect(outcomes).toEqual([['ok', 'record RejectedRecord']])
  })
})

test.each([
  ['InvalidAccessKeyId', 'destination'],
  ['ExpiredToken', 'passing'],
])('after %s the next call to S3 has a new session', async (code, meaning) => {
  const definition = definitionOf('s3', { bucketName: 'bucket', key: 'k' })
  const { requests, outcomes } = await sendTo(definition, [[{}], [{}]], (_, number) =>
    number === 0
      ? { status: 403, body: `<Error><Code>${code}</Code><Message>no</Message></Error>` }
      : {},
  )
  expect(outcomes).toEqual([`${meaning} ${code}`, ['ok']])
  const sessions = requests.map(({ headers }) => headers['x-amz-security-token'])
  expect(new Set(sessions).size).toBe(2)
})

describe('a role that denies PutRecordBatch', () => {
  const firehose: Failure = { source: 'Firehose', code: 'AccessDeniedException', message: '' }

  test.each<[string, Failure, boolean]>([
    ['names no action', firehose, true],
    ['names the batch', { ...firehose, message: denied('firehose:PutRecordBatch') }, true],
    ['names a key', { ...firehose, message: denied('kms:GenerateDataKey') }, false],
    ['is of a service without another operation', { ...firehose, source: 'SQS' }, false],
  ])('the message %s: %s', (_, failure, expected) => {
    expect(deniesBatch(failure)).toBe(expected)
  })
})
