import { describe, expect, test } from 'vitest'
import {
  apply,
  definitionOf,
  dynamo,
  functionArn,
  lambda,
  queueUrl,
  refusalOf,
  targetArn,
} from './service-action-fixtures.ts'

describe('a message that the service would not take fails its action', () => {
  test.each<[string, object, string, unknown, string, RegExp]>([
    ['not JSON for lambda', lambda(functionArn), 'text', {}, 'lambda', /is not JSON/],
    ['no ARN', lambda('${f}'), '{}', { f: 'f' }, 'lambda.functionArn', /not the ARN of a function/],
    [
      'a FIFO queue',
      definitionOf('sqs', { queueUrl: `${queueUrl}.fifo` }),
      'text',
      {},
      'sqs.queueUrl',
      /MissingParameter: a FIFO queue needs a MessageGroupId/,
    ],
    [
      'a FIFO topic',
      definitionOf('sns', { targetArn: `${targetArn}.fifo` }),
      'text',
      {},
      'sns.targetArn',
      /a FIFO topic needs a MessageGroupId/,
    ],
    [
      'control characters for SQS',
      definitionOf('sqs', { queueUrl }),
      '\u0000',
      {},
      'sqs',
      /set useBase64/,
    ],
    [
      'no default text for SNS',
      definitionOf('sns', { targetArn, messageFormat: 'JSON' }),
      '{"t":1}',
      {},
      'sns.messageFormat',
      /a text under "default"; RAW/,
    ],
    [
      'an empty key of S3',
      definitionOf('s3', { bucketName: 'bucket', key: '${nothing}' }),
      'x',
      {},
      's3.key',
      /the key of the object is empty/,
    ],
    [
      'an id that leads to another path',
      definitionOf('openSearch', { endpoint: 'https://x', index: 'i', type: '_doc', id: '${d}' }),
      '{}',
      { d: '..' },
      'openSearch.id',
      /cannot stand in the path of a document/,
    ],
    [
      'a key that is no number',
      definitionOf('dynamoDB', { ...dynamo, hashKeyType: 'NUMBER' }),
      '{}',
      { id: 'x' },
      'dynamoDB.hashKeyValue',
      /"x" is not a number/,
    ],
    [
      'a number beyond DynamoDB',
      definitionOf('dynamoDBv2', { putItem: { tableName: 'table' } }),
      '{"n":1E200}',
      {},
      'dynamoDBv2',
      /n: "1E200" is beyond the range of DynamoDB/,
    ],
    [
      'an array for DynamoDB',
      definitionOf('dynamoDBv2', { putItem: { tableName: 'table' } }),
      '[]',
      {},
      'dynamoDBv2',
      /is not a JSON object/,
    ],
    [
      'a metric that is no number',
      definitionOf('cloudwatchMetric', {
        metricNamespace: 'N',
        metricName: 'm',
        metricValue: '${v}',
        metricUnit: 'None',
      }),
      '{}',
      { v: 'high' },
      'cloudwatchMetric.metricValue',
      /"high" is not a number/,
    ],
    [
      'a time with a fraction',
      definitionOf('timestream', {
        databaseName: 'db',
        tableName: 'table',
        dimensions: [{ name: 'device', value: 'd' }],
        timestamp: { value: '${timestamp() / 1000 + 0.5}', unit: 'SECONDS' },
      }),
      '{"t":1}',
      {},
      'timestream.timestamp.value',
      /is not a whole number/,
    ],
    [
      'http without TLS',
      { http: { url: '${u}', confirmationUrl: 'https://example.com' } },
      '{}',
      { u: 'http://example.com' },
      'http.url',
      /not a URL that begins with https/,
    ],
    [
      // The text begins with the confirmed URL, and the host is another one.
      'http on a host that begins like the confirmed one',
      { http: { url: 'https://example.com${u}', confirmationUrl: 'https://example.com' } },
      '{}',
      { u: '.evil.example/x' },
      'http.url',
      /does not begin with the confirmationUrl/,
    ],
    [
      'http with the confirmed host as a user',
      { http: { url: 'https://example.com${u}', confirmationUrl: 'https://example.com' } },
      '{}',
      { u: '@evil.example/x' },
      'http.url',
      /a user or a password in the URL is not taken/,
    ],
    [
      'http on another port than the confirmed one',
      { http: { url: 'https://example.com${u}', confirmationUrl: 'https://example.com' } },
      '{}',
      { u: ':8443/x' },
      'http.url',
      /does not begin with the confirmationUrl/,
    ],
    [
      'http above the confirmed path',
      { http: { url: 'https://example.com/${u}', confirmationUrl: 'https://example.com/a' } },
      '{}',
      { u: 'b' },
      'http.url',
      /does not begin with the confirmationUrl/,
    ],
    [
      'http that leaves the confirmed path',
      { http: { url: 'https://example.com/a/${u}', confirmationUrl: 'https://example.com/a/' } },
      '{}',
      { u: '%2e%2e/b' },
      'http.url',
      /does not begin with the confirmationUrl/,
    ],
    [
      'a header of two lines',
      { http: { url: 'https://example.com', headers: [{ key: 'x', value: '${u}' }] } },
      '{}',
      { u: 'a\r\nhost: b' },
      'http.headers[0].value',
      /is not the value of a header/,
    ],
    [
      'a batch of what is no JSON',
      { http: { url: 'https://example.com', enableBatching: true } },
      '{',
      {},
      'http',
      /a batch is a JSON array/,
    ],
  ])('%s', (_name, definition, output, payload, where, message) => {
    expect(apply(definition, output, payload)).toMatchObject({
      ok: false,
      failure: {
        where: `actions[0].${where}`,
        message: expect.stringMatching(message) as string,
      },
    })
  })
})

describe('what AWS refuses at creation is refused, with every fault', () => {
  test.each<[string, object, RegExp]>([
    [
      'half a sort key',
      definitionOf('dynamoDB', { ...dynamo, rangeKeyField: 'at' }),
      /^actions\[0\]\.dynamoDB\.rangeKeyValue is missing/,
    ],
    [
      'a property with both names',
      definitionOf('iotSiteWise', {
        putAssetPropertyValueEntries: [
          {
            propertyAlias: '/p',
            assetId: 'a',
            propertyValues: [{ value: { stringValue: 's' }, timestamp: { timeInSeconds: '1' } }],
          },
        ],
      }),
      /putAssetPropertyValueEntries\[0\] must name its property by/,
    ],
    ['a queue by its ARN', definitionOf('sqs', { queueUrl: 'arn:aws:sqs:q' }), /\(not its ARN\)/],
    [
      'an unknown unit',
      definitionOf('cloudwatchMetric', {
        metricNamespace: 'N',
        metricName: 'm',
        metricValue: '1',
        metricUnit: 'Apples',
      }),
      /metricUnit: "Apples" is none of Seconds,/,
    ],
    [
      'a url with a template and nothing to confirm',
      { http: { url: 'https://${h}' } },
      /confirmationUrl is missing/,
    ],
    [
      'a url that is not below the one to confirm',
      { http: { url: 'https://a.example/x', confirmationUrl: 'https://b.example/x' } },
      /http\.url: .* does not begin with the confirmationUrl/,
    ],
    [
      'a header that says where a request ends',
      { http: { url: 'https://a.example', headers: [{ key: 'Content-Length', value: '1' }] } },
      /headers\[0\]\.key: the client itself writes Content-Length/,
    ],
    [
      'a batch that is too large',
      { http: { url: 'https://a.example', batchConfig: { maxBatchSize: 11 } } },
      /maxBatchSize/,
    ],
    [
      'a property that Kafka does not have',
      {
        kafka: {
          destinationArn: 'arn:aws:iot:eu-west-1:123456789012:ruledestination/vpc/x',
          topic: 't',
          clientProperties: { 'bootstrap.servers': 'b:9096', colour: 'red' },
        },
      },
      /colour is not a known property/,
    ],
  ])('%s', (_name, definition, message) => {
    expect(refusalOf(definition)).toMatch(message)
  })

  test('two actions with three faults', () => {
    const problems = refusalOf(
      definitionOf('s3', { bucketName: '-', key: '${' }),
      definitionOf('sns', { targetArn: 'topic' }),
    )
    expect(problems).toMatch(/^3 problems:\nInvalidRequestException: actions\[0\]\.s3\.bucketName/)
    expect(problems).toContain('actions[0].s3.key: ')
    expect(problems).toContain('actions[1].sns.targetArn: "topic" is not the ARN')
  })
})
