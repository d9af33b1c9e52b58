import {
  definitionOf,
  dynamo,
  functionArn,
  lambda,
} from '../../actions/kinds/service-action-fixtures.ts'
import type { ServiceAnswer } from './recording-service.ts'
import { jsonError, restError, twoDevices, unavailable } from './service-cases.ts'
import type { ServiceCase } from './service-cases.ts'

const dynamoFailures: ServiceCase['failures'] = [
  ['a throttle', jsonError('ProvisionedThroughputExceededException'), 'passing'],
  ['a throttle of the account', jsonError('RequestLimitExceeded'), 'passing'],
  ['a throttle of any service', jsonError('ThrottlingException'), 'passing'],
  ['a write of another at the same time', jsonError('TransactionConflictException'), 'passing'],
  ['an expired session', jsonError('ExpiredTokenException'), 'passing'],
  ['a service that is not there', unavailable, 'passing'],
  ['an answer that cannot be read', { status: 200, body: 'hello' }, 'passing'],
  ['an item that DynamoDB refuses', jsonError('ValidationException'), 'record'],
  [
    'a collection that is too large',
    jsonError('ItemCollectionSizeLimitExceededException'),
    'record',
  ],
  ['a role without the permission', jsonError('AccessDeniedException'), 'destination'],
  ['a signature that does not fit', jsonError('InvalidSignatureException'), 'destination'],
  ['a missing table', jsonError('ResourceNotFoundException'), 'destination'],
]

const put = { answer: { body: {} } }

const dynamodbCases: readonly ServiceCase[] = [
  {
    name: 'DynamoDB, the output in one attribute',
    definition: definitionOf('dynamoDB', {
      ...dynamo,
      rangeKeyField: 'r',
      rangeKeyValue: '7',
      rangeKeyType: 'NUMBER',
    }),
    messages: twoDevices,
    one: {
      ...put,
      sent: [
        'PutItem',
        {
          TableName: 'table',
          Item: { id: { S: 'a' }, r: { N: '7' }, payload: { M: { t: { N: '0.5' } } } },
        },
      ],
    },
    failures: dynamoFailures,
  },
  {
    name: 'DynamoDB, bytes in one attribute',
    definition: definitionOf('dynamoDB', dynamo),
    messages: [{ output: Buffer.from([0, 1, 255]), payload: { id: 'a' } }],
    one: {
      ...put,
      sent: ['PutItem', { TableName: 'table', Item: { id: { S: 'a' }, payload: { B: 'AAH/' } } }],
    },
    failures: [],
  },
  {
    name: 'DynamoDB, an update',
    definition: definitionOf('dynamoDB', { ...dynamo, operation: 'UPDATE', payloadField: 'B' }),
    messages: [{ output: Buffer.from([255]), payload: { id: 'a' } }],
    one: {
      ...put,
      sent: [
        'UpdateItem',
        {
          TableName: 'table',
          Key: { id: { S: 'a' } },
          UpdateExpression: 'SET #payload = :payload',
          ExpressionAttributeNames: { '#payload': 'B' },
          ExpressionAttributeValues: { ':payload': { B: '/w==' } },
        },
      ],
    },
    failures: [],
  },
  {
    name: 'DynamoDB, a deletion',
    definition: definitionOf('dynamoDB', { ...dynamo, operation: 'DELETE' }),
    messages: twoDevices,
    one: { ...put, sent: ['DeleteItem', { TableName: 'table', Key: { id: { S: 'a' } } }] },
    failures: [],
  },
  {
    name: 'DynamoDB, each member in an attribute',
    definition: definitionOf('dynamoDBv2', { putItem: { tableName: 'table' } }),
    messages: [{ output: '{"id":"a","B":{"base64":"AA=="},"n":[1,null,true]}' }],
    one: {
      ...put,
      sent: [
        'PutItem',
        {
          TableName: 'table',
          Item: {
            id: { S: 'a' },
            B: { M: { base64: { S: 'AA==' } } },
            n: { L: [{ N: '1' }, { NULL: true }, { BOOL: true }] },
          },
        },
      ],
    },
    failures: [],
  },
]

const s3Error = (status: number, code: string): ServiceAnswer => ({
  status,
  body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>refused</Message></Error>`,
})

const s3: ServiceCase = {
  name: 'S3',
  definition: definitionOf('s3', { bucketName: 'bucket', key: '${id}/1 2.json' }),
  messages: [{ output: '{"t":0.5}', payload: { id: 'ä' } }],
  one: {
    answer: {},
    sent: ['PUT /bucket/%C3%A4/1%202.json?x-id=PutObject', '{"t":0.5}'],
  },
  failures: [
    ['a throttle', s3Error(503, 'SlowDown'), 'passing'],
    ['a request that took too long', s3Error(400, 'RequestTimeout'), 'passing'],
    ['a conflict with another operation', s3Error(409, 'OperationAborted'), 'passing'],
    ['an expired session', s3Error(400, 'ExpiredToken'), 'passing'],
    ['a service that is not there', unavailable, 'passing'],
    ['a key that is too long', s3Error(400, 'KeyTooLongError'), 'record'],
    ['an object that is too large', s3Error(400, 'EntityTooLarge'), 'record'],
    ['a role without the permission', s3Error(403, 'AccessDenied'), 'destination'],
    ['an unknown access key', s3Error(403, 'InvalidAccessKeyId'), 'destination'],
    ['a bucket without access lists', s3Error(400, 'AccessControlListNotSupported'), 'destination'],
    ['a bucket of another region', s3Error(301, 'PermanentRedirect'), 'destination'],
    ['a missing bucket', s3Error(404, 'NoSuchBucket'), 'destination'],
  ],
}

const lambdaCase: ServiceCase = {
  name: 'Lambda',
  definition: lambda(functionArn),
  messages: twoDevices,
  one: {
    answer: { status: 202 },
    sent: [
      `POST /2015-03-31/functions/${encodeURIComponent(functionArn)}/invocations`,
      '{"t":0.5}',
    ],
  },
  failures: [
    ['a throttle', restError(429, 'TooManyRequestsException'), 'passing'],
    ['a function that is being changed', restError(409, 'ResourceConflictException'), 'passing'],
    ['a fault of Lambda', restError(500, 'ServiceException'), 'passing'],
    ['a service that is not there', unavailable, 'passing'],
    ['an event that is no JSON', restError(400, 'InvalidRequestContentException'), 'record'],
    ['an event that is too large', restError(413, 'RequestTooLargeException'), 'record'],
    ['a caller without the permission', restError(403, 'AccessDeniedException'), 'destination'],
    ['a key that may not be used', restError(502, 'KMSAccessDeniedException'), 'destination'],
    ['a missing function', restError(404, 'ResourceNotFoundException'), 'destination'],
  ],
}

const alarm: ServiceCase = {
  name: 'CloudWatch, an alarm',
  definition: definitionOf('cloudwatchAlarm', {
    alarmName: 'a',
    stateReason: 'hot',
    stateValue: 'ALARM',
  }),
  one: {
    answer: { body: {} },
    sent: ['SetAlarmState', { AlarmName: 'a', StateReason: 'hot', StateValue: 'ALARM' }],
  },
  failures: [
    ['a throttle', jsonError('ThrottlingException'), 'passing'],
    ['a fault of CloudWatch', jsonError('InternalServiceFault', 'no', { status: 500 }), 'passing'],
    ['a reason that CloudWatch refuses', jsonError('InvalidFormatFault'), 'record'],
    ['a role without the permission', jsonError('AccessDeniedException'), 'destination'],
    ['a missing alarm', jsonError('ResourceNotFound', 'no', { status: 404 }), 'destination'],
  ],
}

const stepFunctions: ServiceCase = {
  name: 'Step Functions',
  definition: definitionOf('stepFunctions', { stateMachineName: 'm', executionNamePrefix: 'p-' }),
  messages: twoDevices,
  one: {
    answer: { body: { executionArn: 'arn', startDate: 1 } },
    sent: [
      'StartExecution',
      {
        stateMachineArn: 'arn:aws:states:eu-west-1:123456789012:stateMachine:m',
        name: 'p-uuid-1',
        input: '{"t":0.5}',
      },
    ],
  },
  parts: [],
  failures: [
    ['a throttle', jsonError('ThrottlingException'), 'passing'],
    ['too many executions', jsonError('ExecutionLimitExceeded'), 'passing'],
    ['an input that is refused', jsonError('InvalidExecutionInput'), 'record'],
    ['a name that is refused', jsonError('InvalidName'), 'record'],
    ['a role without the permission', jsonError('AccessDeniedException'), 'destination'],
    ['a machine that is being deleted', jsonError('StateMachineDeleting'), 'destination'],
    ['a missing machine', jsonError('StateMachineDoesNotExist'), 'destination'],
  ],
}

/** Services that take records one by one. */
export const dataCases: readonly ServiceCase[] = [
  ...dynamodbCases,
  s3,
  lambdaCase,
  alarm,
  stepFunctions,
]
