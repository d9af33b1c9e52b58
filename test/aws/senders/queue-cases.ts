import { createHash } from 'node:crypto'
import { definitionOf, queueUrl, targetArn } from '../../actions/kinds/service-action-fixtures.ts'
import type { ServiceAnswer } from './recording-service.ts'
import { jsonError, queryError, twoDevices, unavailable } from './service-cases.ts'
import type { ServiceCase } from './service-cases.ts'

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
const [first, second] = ['{"t":0.5}', '{"t":1.5}']
const MessageId = '1'

/** An error of SQS, which names the code of its older protocol beside that of the newer one. */
const sqsError = (code: string, queryCode = code, status = 400): ServiceAnswer =>
  jsonError(code, 'refused', {
    status,
    headers: { 'x-amzn-query-error': `${queryCode};Sender` },
  })

const sqsBatch = (failed: object): ServiceAnswer => ({
  body: {
    Successful: [{ Id: '1', MessageId, MD5OfMessageBody: md5(second) }],
    Failed: [{ Id: '0', Message: 'refused', ...failed }],
  },
})

const sqs: ServiceCase = {
  name: 'SQS',
  definition: definitionOf('sqs', { queueUrl }),
  messages: twoDevices,
  one: {
    answer: { body: { MessageId, MD5OfMessageBody: md5(first) } },
    sent: ['SendMessage', { QueueUrl: queueUrl, MessageBody: first }],
  },
  several: {
    answer: {
      body: {
        Successful: [
          { Id: '0', MessageId, MD5OfMessageBody: md5(first) },
          { Id: '1', MessageId, MD5OfMessageBody: md5(second) },
        ],
      },
    },
    sent: [
      'SendMessageBatch',
      {
        QueueUrl: queueUrl,
        Entries: [
          { Id: '0', MessageBody: first },
          { Id: '1', MessageBody: second },
        ],
      },
    ],
  },
  parts: [
    [
      'an entry fails inside SQS',
      sqsBatch({ SenderFault: false, Code: 'InternalError' }),
      ['passing InternalError', 'ok'],
    ],
    [
      'an entry is throttled',
      sqsBatch({ SenderFault: true, Code: 'RequestThrottled' }),
      ['passing RequestThrottled', 'ok'],
    ],
    [
      'an entry is refused for its contents',
      sqsBatch({ SenderFault: true, Code: 'InvalidMessageContents' }),
      ['record InvalidMessageContents', 'ok'],
    ],
    [
      'the key of the queue is disabled',
      sqsBatch({ SenderFault: true, Code: 'KMS.DisabledException' }),
      ['destination KMS.DisabledException', 'ok'],
    ],
    [
      'the key of the queue is throttled',
      sqsBatch({ SenderFault: true, Code: 'KMS.ThrottlingException' }),
      ['passing KMS.ThrottlingException', 'ok'],
    ],
    [
      'a code is new, and the caller is to blame',
      sqsBatch({ SenderFault: true, Code: 'OfTheFuture' }),
      ['destination OfTheFuture', 'ok'],
    ],
    [
      'a code is new, and SQS is to blame',
      sqsBatch({ SenderFault: false, Code: 'OfTheFuture' }),
      ['passing OfTheFuture', 'ok'],
    ],
    [
      'the answer leaves an entry out',
      { body: { Successful: [{ Id: '1', MessageId, MD5OfMessageBody: md5(second) }] } },
      ['passing InternalFailure', 'ok'],
    ],
  ],
  failures: [
    ['a throttle', sqsError('RequestThrottled', 'RequestThrottled', 403), 'passing'],
    ['a throttle of any service', sqsError('ThrottlingException', 'Throttling'), 'passing'],
    ['a service that is not there', unavailable, 'passing'],
    ['a message with other characters', sqsError('InvalidMessageContents'), 'record'],
    ['a message that is too long', sqsError('InvalidParameterValueException'), 'record'],
    [
      'a role without the permission',
      sqsError('AccessDeniedException', 'AccessDenied'),
      'destination',
    ],
    [
      'an unknown access key',
      sqsError('InvalidClientTokenId', 'InvalidClientTokenId', 403),
      'destination',
    ],
    [
      'a missing queue',
      sqsError('QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue'),
      'destination',
    ],
    [
      'a key that may not be used',
      sqsError('KmsAccessDenied', 'KMS.AccessDeniedException'),
      'destination',
    ],
  ],
}

const snsPart = (code: string): ServiceAnswer => ({
  body: `<PublishBatchResponse><PublishBatchResult><Successful><member><Id>1</Id><MessageId>m</MessageId></member></Successful><Failed><member><Id>0</Id><Code>${code}</Code><Message>refused</Message><SenderFault>true</SenderFault></member></Failed></PublishBatchResult></PublishBatchResponse>`,
})

const snsPublished: ServiceAnswer = {
  body: '<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>',
}

const snsFailures: ServiceCase['failures'] = [
  ['a throttle', queryError(400, 'Throttling'), 'passing'],
  ['a throttle of SNS', queryError(429, 'Throttled'), 'passing'],
  ['a service that is not there', unavailable, 'passing'],
  ['an answer that cannot be read', { status: 200, body: 'hello' }, 'passing'],
  ['a parameter that SNS refuses', queryError(400, 'InvalidParameter'), 'record'],
  ['a role without the permission', queryError(403, 'AuthorizationError'), 'destination'],
  ['an unknown access key', queryError(403, 'InvalidClientTokenId'), 'destination'],
  ['a missing topic', queryError(404, 'NotFound'), 'destination'],
]

const sns: ServiceCase = {
  name: 'SNS',
  definition: definitionOf('sns', { targetArn }),
  messages: twoDevices,
  one: { answer: snsPublished, sent: ['Publish', { TopicArn: targetArn, Message: first }] },
  several: {
    answer: {
      body: '<PublishBatchResponse><PublishBatchResult><Successful><member><Id>0</Id></member><member><Id>1</Id></member></Successful></PublishBatchResult></PublishBatchResponse>',
    },
    sent: [
      'PublishBatch',
      {
        TopicArn: targetArn,
        'PublishBatchRequestEntries.member.1.Id': '0',
        'PublishBatchRequestEntries.member.1.Message': first,
        'PublishBatchRequestEntries.member.2.Id': '1',
        'PublishBatchRequestEntries.member.2.Message': second,
      },
    ],
  },
  parts: [
    ['an entry fails inside SNS', snsPart('InternalError'), ['passing InternalError', 'ok']],
    ['an entry is throttled', snsPart('Throttled'), ['passing Throttled', 'ok']],
    ['the key is throttled', snsPart('KMSThrottling'), ['passing KMSThrottling', 'ok']],
    ['an entry is refused', snsPart('InvalidParameter'), ['record InvalidParameter', 'ok']],
    [
      'the role may not publish',
      snsPart('AuthorizationError'),
      ['destination AuthorizationError', 'ok'],
    ],
    ['the key is disabled', snsPart('KMSDisabled'), ['destination KMSDisabled', 'ok']],
    ['the topic is missing', snsPart('NotFound'), ['destination NotFound', 'ok']],
    ['a code is new', snsPart('OfTheFuture'), ['destination OfTheFuture', 'ok']],
  ],
  failures: snsFailures,
}

const endpointArn = 'arn:aws:sns:us-west-2:123456789012:endpoint/GCM/app/1'

/** A mobile endpoint has no batch operation. */
const snsEndpoint: ServiceCase = {
  name: 'SNS with a mobile endpoint',
  definition: definitionOf('sns', { targetArn: endpointArn, messageFormat: 'JSON' }),
  messages: [{ output: '{"default":"hot"}' }],
  one: {
    answer: snsPublished,
    sent: [
      'Publish',
      { TargetArn: endpointArn, MessageStructure: 'json', Message: '{"default":"hot"}' },
    ],
  },
  failures: [['a disabled endpoint', queryError(400, 'EndpointDisabled'), 'destination']],
}

const batchOf = (...answers: object[]): ServiceAnswer => ({
  body: { FailedPutCount: 1, RequestResponses: answers },
})
const firehoseData = [first, second].map((text) => Buffer.from(`${text}\n`).toString('base64'))

const firehose: ServiceCase = {
  name: 'Firehose',
  definition: definitionOf('firehose', { deliveryStreamName: 'f', separator: '\n' }),
  messages: twoDevices,
  one: {
    answer: { body: { RecordId: 'r' } },
    sent: ['PutRecord', { DeliveryStreamName: 'f', Record: { Data: firehoseData[0] } }],
  },
  several: {
    answer: batchOf({ RecordId: 'r' }, { RecordId: 's' }),
    sent: [
      'PutRecordBatch',
      { DeliveryStreamName: 'f', Records: firehoseData.map((Data) => ({ Data })) },
    ],
  },
  parts: [
    [
      'a record is throttled',
      batchOf(
        { ErrorCode: 'ServiceUnavailableException', ErrorMessage: 'slow' },
        { RecordId: 's' },
      ),
      ['passing ServiceUnavailableException', 'ok'],
    ],
    [
      'a record fails inside Firehose',
      batchOf({ ErrorCode: 'InternalFailure' }, { RecordId: 's' }),
      ['passing InternalFailure', 'ok'],
    ],
    ['the answer is short', batchOf({ RecordId: 'r' }), ['ok', 'passing InternalFailure']],
    ['the answer is empty', { body: {} }, ['passing InternalFailure', 'passing InternalFailure']],
  ],
  failures: [
    ['a throttle', jsonError('ServiceUnavailableException', 'slow', { status: 500 }), 'passing'],
    ['a throttle of any service', jsonError('ThrottlingException'), 'passing'],
    ['an answer that cannot be read', { status: 200, body: 'hello' }, 'passing'],
    ['a record that Firehose refuses', jsonError('InvalidArgumentException'), 'record'],
    ['a role without the permission', jsonError('AccessDeniedException'), 'destination'],
    ['a key that may not be used', jsonError('InvalidKMSResourceException'), 'destination'],
    ['a missing stream', jsonError('ResourceNotFoundException'), 'destination'],
  ],
}

const firehoseArray: ServiceCase = {
  name: 'Firehose with batchMode',
  definition: definitionOf('firehose', { deliveryStreamName: 'f', batchMode: true }),
  messages: [{ output: '[{"t":1},{"t":2}]' }, { output: '[{"t":3}]' }],
  one: {
    answer: batchOf({ RecordId: 'r' }, { RecordId: 's' }),
    sent: [
      'PutRecordBatch',
      {
        DeliveryStreamName: 'f',
        Records: ['{"t":1}', '{"t":2}'].map((text) => ({
          Data: Buffer.from(text).toString('base64'),
        })),
      },
    ],
  },
  several: {
    answer: batchOf({ RecordId: 'r' }, { RecordId: 's' }, { RecordId: 't' }),
    sent: [
      'PutRecordBatch',
      {
        DeliveryStreamName: 'f',
        Records: ['{"t":1}', '{"t":2}', '{"t":3}'].map((text) => ({
          Data: Buffer.from(text).toString('base64'),
        })),
      },
    ],
  },
  parts: [
    [
      'one element of an array is not taken',
      batchOf({ RecordId: 'r' }, { ErrorCode: 'InternalFailure' }, { RecordId: 't' }),
      ['passing InternalFailure', 'ok'],
    ],
  ],
  failures: [],
}

export const queueCases: readonly ServiceCase[] = [sqs, sns, snsEndpoint, firehose, firehoseArray]
