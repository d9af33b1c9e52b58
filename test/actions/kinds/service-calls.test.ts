import { describe, expect, test } from 'vitest'
import {
  definitionOf,
  dynamo,
  functionArn,
  lambda,
  queueUrl,
  recordOf,
  roleArn,
  targetArn,
} from './service-action-fixtures.ts'

/** What each action makes of one message: the call that AWS IoT would make. */

describe('the call for one message', () => {
  test.each<[string, object, string | Buffer, unknown, string, object]>([
    [
      'lambda',
      lambda(functionArn),
      '{"t":1}',
      {},
      'Invoke',
      { FunctionName: functionArn, InvocationType: 'Event', Payload: '{"t":1}' },
    ],
    [
      'sqs',
      definitionOf('sqs', { queueUrl }),
      'text',
      {},
      'SendMessage',
      { QueueUrl: queueUrl, MessageBody: 'text' },
    ],
    [
      'sqs with base64',
      definitionOf('sqs', { queueUrl, useBase64: true }),
      Buffer.from([0, 255]),
      {},
      'SendMessage',
      { QueueUrl: queueUrl, MessageBody: 'AP8=' },
    ],
    [
      'sns',
      definitionOf('sns', { targetArn }),
      'text',
      {},
      'Publish',
      { TopicArn: targetArn, Message: 'text' },
    ],
    [
      'sns with a text for each protocol',
      definitionOf('sns', { targetArn, messageFormat: 'JSON' }),
      '{"default":"d"}',
      {},
      'Publish',
      { TopicArn: targetArn, Message: '{"default":"d"}', MessageStructure: 'json' },
    ],
    [
      's3 with bytes',
      definitionOf('s3', { bucketName: 'bucket', key: '${topic()}/${k}', cannedAcl: 'private' }),
      Buffer.from([0xff]),
      { k: 7 },
      'PutObject',
      { Bucket: 'bucket', Key: 'a/b/7', ACL: 'private', Body: { base64: '/w==' } },
    ],
    [
      'firehose',
      definitionOf('firehose', { deliveryStreamName: 'f', separator: '\n' }),
      '{}',
      {},
      'PutRecord',
      { DeliveryStreamName: 'f', Record: { Data: '{}\n' } },
    ],
    [
      'firehose with an array',
      definitionOf('firehose', { deliveryStreamName: 'f', batchMode: true, separator: ',' }),
      '[1.50,{"a":[]}]',
      {},
      'PutRecordBatch',
      { DeliveryStreamName: 'f', Records: [{ Data: '1.50,' }, { Data: '{"a":[]},' }] },
    ],
    [
      'cloudwatchLogs',
      definitionOf('cloudwatchLogs', { logGroupName: '/errors' }),
      'what went wrong',
      {},
      'PutLogEvents',
      {
        logGroupName: '/errors',
        logStreamName: 'sluice/r',
        logEvents: [{ timestamp: 1_700_000_000_000, message: 'what went wrong' }],
      },
    ],
    [
      'cloudwatchLogs with an array, in the order of time',
      definitionOf('cloudwatchLogs', { logGroupName: '/errors', batchMode: true }),
      '[{"timestamp":2,"message":"b"},{"timestamp":1,"message":"a"}]',
      {},
      'PutLogEvents',
      {
        logGroupName: '/errors',
        logStreamName: 'sluice/r',
        logEvents: [
          { timestamp: 1, message: 'a' },
          { timestamp: 2, message: 'b' },
        ],
      },
    ],
    [
      'dynamoDB',
      definitionOf('dynamoDB', {
        ...dynamo,
        rangeKeyField: 'at',
        rangeKeyValue: '${timestamp()}',
        rangeKeyType: 'NUMBER',
      }),
      '{"t":21.50,"on":true,"no":null,"l":["x"]}',
      { id: 'd1' },
      'PutItem',
      {
        TableName: 'table',
        Item: {
          id: { S: 'd1' },
          at: { N: '1700000000000' },
          payload: {
            M: {
              t: { N: '21.50' },
              on: { BOOL: true },
              no: { NULL: true },
              l: { L: [{ S: 'x' }] },
            },
          },
        },
      },
    ],
    [
      'dynamoDB with bytes and an empty payloadField',
      definitionOf('dynamoDB', { ...dynamo, payloadField: '' }),
      Buffer.from([1]),
      { id: 'd1' },
      'PutItem',
      { TableName: 'table', Item: { id: { S: 'd1' }, payload: { B: { base64: 'AQ==' } } } },
    ],
    [
      'dynamoDB that updates',
      definitionOf('dynamoDB', { ...dynamo, operation: 'UPDATE', payloadField: 'p' }),
      '1',
      { id: 'd1' },
      'UpdateItem',
      {
        TableName: 'table',
        Key: { id: { S: 'd1' } },
        UpdateExpression: 'SET #payload = :payload',
        ExpressionAttributeNames: { '#payload': 'p' },
        ExpressionAttributeValues: { ':payload': { N: '1' } },
      },
    ],
    [
      'dynamoDB that deletes',
      definitionOf('dynamoDB', { ...dynamo, operation: '${op}' }),
      'nothing of this is needed',
      { id: 'd1', op: 'DELETE' },
      'DeleteItem',
      { TableName: 'table', Key: { id: { S: 'd1' } } },
    ],
    [
      'dynamoDBv2',
      definitionOf('dynamoDBv2', { putItem: { tableName: 'table' } }),
      '{"id":"d1","n":12345678901234567890}',
      {},
      'PutItem',
      { TableName: 'table', Item: { id: { S: 'd1' }, n: { N: '12345678901234567890' } } },
    ],
    [
      'cloudwatchMetric',
      definitionOf('cloudwatchMetric', {
        metricNamespace: 'N',
        metricName: '${topic(2)}',
        metricValue: '${v}',
        metricUnit: 'Bytes/Second',
      }),
      '{}',
      { v: 1.5 },
      'PutMetricData',
      {
        Namespace: 'N',
        MetricData: [
          { MetricName: 'b', Value: 1.5, Unit: 'Bytes/Second', Timestamp: 1_700_000_000 },
        ],
      },
    ],
    [
      'cloudwatchAlarm',
      definitionOf('cloudwatchAlarm', {
        alarmName: 'a',
        stateReason: '${why}',
        stateValue: 'ALARM',
      }),
      '{}',
      { why: 'hot' },
      'SetAlarmState',
      { AlarmName: 'a', StateValue: 'ALARM', StateReason: 'hot' },
    ],
    [
      'stepFunctions',
      definitionOf('stepFunctions', { stateMachineName: 'flow', executionNamePrefix: 'run-' }),
      '{}',
      {},
      'StartExecution',
      {
        stateMachineArn: 'arn:aws:states:eu-west-1:123456789012:stateMachine:flow',
        name: 'run-uuid-1',
        input: '{}',
      },
    ],
    [
      'timestream',
      definitionOf('timestream', {
        databaseName: 'db',
        tableName: 'table',
        dimensions: [{ name: 'device', value: '${id}' }],
      }),
      '{"i":1,"d":1.0,"b":false,"s":"x","o":{"k":1.50}}',
      { id: 'd1' },
      'WriteRecords',
      {
        DatabaseName: 'db',
        TableName: 'table',
        Records: [
          ['i', '1', 'BIGINT'],
          ['d', '1.0', 'DOUBLE'],
          ['b', 'false', 'BOOLEAN'],
          ['s', 'x', 'VARCHAR'],
          ['o', '{"k":1.50}', 'VARCHAR'],
        ].map(([MeasureName, MeasureValue, MeasureValueType]) => ({
          Dimensions: [{ Name: 'device', Value: 'd1' }],
          MeasureName,
          MeasureValue,
          MeasureValueType,
          Time: '1700000000000',
          TimeUnit: 'MILLISECONDS',
        })),
      },
    ],
    [
      'iotSiteWise',
      definitionOf('iotSiteWise', {
        putAssetPropertyValueEntries: [
          {
            propertyAlias: '/p/${id}',
            propertyValues: [
              {
                value: { doubleValue: '${v}' },
                timestamp: {
                  timeInSeconds: '${floor(timestamp() / 1E3)}',
                  offsetInNanos: '${(timestamp() % 1E3) * 1E6}',
                },
                quality: 'GOOD',
              },
            ],
          },
        ],
      }),
      '{}',
      { id: 'd1', v: 2.5 },
      'BatchPutAssetPropertyValue',
      {
        entries: [
          {
            entryId: 'uuid-1',
            propertyAlias: '/p/d1',
            propertyValues: [
              {
                value: { doubleValue: 2.5 },
                timestamp: { timeInSeconds: 1_700_000_000, offsetInNanos: 0 },
                quality: 'GOOD',
              },
            ],
          },
        ],
      },
    ],
    [
      'openSearch',
      definitionOf('openSearch', {
        endpoint: 'https://search-x.eu-west-1.es.amazonaws.com',
        index: 'i',
        type: '_doc',
        id: '${topic()}',
      }),
      '{}',
      {},
      'PUT',
      {
        endpoint: 'https://search-x.eu-west-1.es.amazonaws.com',
        path: '/i/_doc/a%2Fb',
        body: '{}',
      },
    ],
    [
      'location',
      definitionOf('location', {
        trackerName: 'tracker',
        deviceId: '${clientid()}',
        latitude: '${lat}',
        longitude: '${lon}',
        timestamp: { value: '${ts}', unit: 'SECONDS' },
      }),
      '{}',
      { lat: 47.5, lon: -8.25, ts: 1_700_000_001 },
      'BatchUpdateDevicePosition',
      {
        TrackerName: 'tracker',
        Updates: [
          { DeviceId: 'c1', SampleTime: '2023-11-14T22:13:21.000Z', Position: [-8.25, 47.5] },
        ],
      },
    ],
    [
      'http',
      {
        http: {
          url: 'https://example.com/hook',
          headers: [{ key: 'X-Topic', value: '${topic()}' }],
        },
      },
      '{"a":1}',
      {},
      'POST',
      {
        url: 'https://example.com/hook',
        headers: [
          { key: 'content-type', value: 'application/json' },
          { key: 'X-Topic', value: 'a/b' },
        ],
        body: '{"a":1}',
      },
    ],
    [
      'kafka',
      {
        kafka: {
          destinationArn: 'arn:aws:iot:eu-west-1:123456789012:ruledestination/vpc/x',
          topic: 't',
          key: '${clientid()}',
          clientProperties: { 'bootstrap.servers': 'b:9096' },
        },
      },
      'value',
      {},
      'Produce',
      { topic: 't', key: 'c1', value: 'value' },
    ],
    [
      'iotEvents',
      definitionOf('iotEvents', { inputName: 'in' }),
      '{"a":1}',
      {},
      'BatchPutMessage',
      { messages: [{ messageId: 'uuid-1', inputName: 'in', payload: '{"a":1}' }] },
    ],
    [
      'iotAnalytics',
      { iotAnalytics: { channelName: 'c', batchMode: true } },
      '[1,2]',
      {},
      'BatchPutMessage',
      {
        channelName: 'c',
        messages: [
          { messageId: 'uuid-1', payload: '1' },
          { messageId: 'uuid-1', payload: '2' },
        ],
      },
    ],
  ])('of %s', (_name, definition, output, payload, operation, parameters) => {
    const { call } = recordOf(definition, output, payload)
    expect(call).toEqual({ operation, parameters })
  })
})

test('a destination is of the kind of its action, in the region of its target', () => {
  expect(recordOf(definitionOf('sqs', { queueUrl })).destination).toMatchObject({
    kind: 'sqs',
    region: 'us-west-2',
    target: queueUrl,
    credentials: { kind: 'role', roleArn },
    settings: { ordering: 'none' },
  })
  expect(recordOf(lambda(functionArn)).destination).toMatchObject({
    region: 'us-west-2',
    credentials: { kind: 'process' },
  })
  const table = definitionOf('dynamoDB', dynamo)
  expect(recordOf(table, '{}', { id: 'd1' }).destination).toMatchObject({
    region: 'eu-west-1',
    settings: { ordering: 'key' },
  })
})
