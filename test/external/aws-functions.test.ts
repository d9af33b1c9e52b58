import { EventEmitter, once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { createAwsFunctions } from '../../src/external/aws-functions.ts'
import { jsonText } from '../helpers/json-text.ts'
import type { ExternalRequest } from '../../src/sql/sql.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { startStandIn } from './aws-stand-in.ts'
import type { Answer, Asked, StandIn } from './aws-stand-in.ts'
import { descriptorOf, encoded, readingProto } from './descriptors.ts'

const dialect = {
  version: '2016-03-23',
  isSecondVersion: true,
  wholeDecimalsAreInts: true,
} as const
const roleArn = 'arn:aws:iam::123456789012:role/reader'
const signal = new AbortController().signal
const started: StandIn[] = []

afterEach(async () => {
  for (const standIn of started.splice(0)) await standIn.close()
})

async function aws(answer: (asked: Asked) => Answer | Promise<Answer>) {
  const standIn = await startStandIn(answer)
  started.push(standIn)
  const clock = createManualClock()
  const callExternal = createAwsFunctions(standIn.access, { clock })
  const call = async (request: ExternalRequest) =>
    jsonText(await callExternal(request, signal), dialect)
  return { call, callExternal, clock, standIn }
}

const lambda = {
  function: 'aws_lambda',
  functionArn: 'arn:aws:lambda:eu-west-1:123456789012:function:enrich',
  inputJson: '{"n":12345678901234567890}',
} as const

describe('aws_lambda', () => {
  test('sends the input unchanged and returns the answer, with the credentials of the process', async () => {
    const { call, standIn } = await aws(() => ({ body: '{"v":1.10,"n":12345678901234567890}' }))
    expect(await call(lambda)).toBe('{"v":1.10,"n":12345678901234567890}')
    expect(standIn.asked).toMatchObject([
      { method: 'POST', body: lambda.inputJson, accessKey: 'PROCESS' },
    ])
    expect(decodeURIComponent(standIn.asked[0]?.url ?? '')).toContain(lambda.functionArn)
  })

  test.for<[string, Answer, RegExp]>([
    [
      'the function fails',
      { headers: { 'x-amz-function-error': 'Unhandled' }, body: '{"errorMessage":"boom"}' },
      /the function failed: .*boom/,
    ],
    ['it does not return JSON', { body: 'hello' }, /not return JSON/],
    [
      'it returns too much',
      { body: JSON.stringify('x'.repeat(1024 * 1024)) },
      /the function returned more than 1048576 bytes/,
    ],
    [
      'the service refuses',
      {
        status: 403,
        headers: { 'x-amzn-errortype': 'AccessDeniedException' },
        body: '{"Message":"not allowed"}',
      },
      /AccessDeniedException: not allowed/,
    ],
    [
      'it is throttled, and not asked twice',
      { status: 429, headers: { 'x-amzn-errortype': 'TooManyRequestsException' } },
      /TooManyRequestsException/,
    ],
  ])('fails when %s', async ([, answer, reason]) => {
    const { call, standIn } = await aws(() => answer)
    await expect(call(lambda)).rejects.toThrow(reason)
    expect(standIn.asked).toHaveLength(1)
  })

  test('fails when it takes longer than 2 seconds', async () => {
    const asked = new EventEmitter()
    const { call, clock } = await aws(() => {
      asked.emit('asked')
      return new Promise(() => {})
    })
    const answer = call(lambda)
    await once(asked, 'asked')
    clock.advance(1_999)
    clock.advance(1)
    await expect(answer).rejects.toThrow('no answer within 2000 ms')
  })
})

describe('get_dynamodb', () => {
  const request = {
    function: 'get_dynamodb',
    tableName: 'devices',
    partitionKey: { name: 'id', type: 'S', text: 'd1' },
    sortKey: { name: 'at', type: 'N', text: '12345678901234567890' },
    roleArn,
  } as const

  test('asks for one item by its key, with the role', async () => {
    const { call, standIn } = await aws(() => ({ body: '{"Item":{}}' }))
    expect(await call(request)).toBe('{}')
    const [asked] = standIn.asked
    expect(asked).toMatchObject({ target: 'DynamoDB_20120810.GetItem', accessKey: 'ROLE-reader' })
    expect(JSON.parse(asked?.body ?? '')).toEqual({
      TableName: 'devices',
      Key: { id: { S: 'd1' }, at: { N: '12345678901234567890' } },
    })
  })

  test('no item is Undefined', async () => {
    const { call } = await aws(() => ({ body: '{}' }))
    expect(await call(request)).toBe('')
  })

  test.for([
    ['{"S":"a"}', '"a"'],
    ['{"N":"12345678901234567890.10"}', '12345678901234567890.10'],
    ['{"BOOL":false}', 'false'],
    ['{"NULL":true}', 'null'],
    ['{"B":"AP8="}', '"AP8="'],
    ['{"SS":["a","b"]}', '["a","b"]'],
    ['{"NS":["1","2.50"]}', '[1,2.50]'],
    ['{"BS":["AP8="]}', '["AP8="]'],
    ['{"L":[{"N":"1"},{"S":"x"}]}', '[1,"x"]'],
    ['{"M":{"k":{"L":[]}}}', '{"k":[]}'],
  ])('%s is %s', async ([attribute, json]) => {
    const { call } = await aws(() => ({ body: `{"Item":{"v":${attribute}}}` }))
    expect(await call(request)).toBe(`{"v":${json}}`)
  })

  test('drops credentials that AWS calls expired', async () => {
    const { call, standIn } = await aws(() => ({
      status: 400,
      body: '{"__type":"com.amazon.coral.service#ExpiredTokenException","message":"old"}',
    }))
    await expect(call(request)).rejects.toThrow('ExpiredTokenException: old')
    expect(standIn.dropped).toEqual([roleArn])
  })
})

const secretOf = (members: object) => () => ({ body: JSON.stringify(members) })

describe('get_secret', () => {
  const request = {
    function: 'get_secret',
    secretId: 'api',
    secretType: 'SecretString',
    roleArn,
  } as const
  test.for<[string, object, object, string]>([
    ['a JSON object', { SecretString: '{"k":"v","n":1.0}' }, {}, '{"k":"v","n":1}'],
    ['one key of it', { SecretString: '{"k":"v"}' }, { key: 'k' }, '"v"'],
    ['a key that is not there', { SecretString: '{"k":"v"}' }, { key: 'x' }, ''],
    ['a text', { SecretString: 'hunter2' }, {}, '"hunter2"'],
    ['a number is text', { SecretString: '12' }, {}, '"12"'],
    ['bytes', { SecretBinary: 'AP8=' }, { secretType: 'SecretBinary' }, '"AP8="'],
  ])('%s', async ([, secret, change, json]) => {
    const { call, standIn } = await aws(secretOf(secret))
    expect(await call({ ...request, ...change })).toBe(json)
    const [asked] = standIn.asked
    expect(asked).toMatchObject({
      target: 'secretsmanager.GetSecretValue',
      accessKey: 'ROLE-reader',
      body: '{"SecretId":"api"}',
    })
  })

  test.for<[string, object, object, RegExp]>([
    ['a key of a text', { SecretString: 'x' }, { key: 'k' }, /not a JSON object/],
    [
      'a key of bytes',
      { SecretBinary: 'AA==' },
      { secretType: 'SecretBinary', key: 'k' },
      /no keys/,
    ],
    ['the text of bytes', { SecretBinary: 'AA==' }, {}, /no SecretString/],
    [
      'the bytes of a text',
      { SecretString: 'x' },
      { secretType: 'SecretBinary' },
      /no SecretBinary/,
    ],
  ])('fails for %s', async ([, secret, change, reason]) => {
    const { call } = await aws(secretOf(secret))
    await expect(call({ ...request, ...change })).rejects.toThrow(reason)
  })

  test('is cached for 15 minutes, for each role', async () => {
    const { call, clock, standIn } = await aws(secretOf({ SecretString: '{"a":1,"b":2}' }))
    await Promise.all([call({ ...request, key: 'a' }), call({ ...request, key: 'b' })])
    clock.advance(15 * 60_000 - 1)
    await call(request)
    expect(standIn.asked).toHaveLength(1)
    await call({ ...request, roleArn: `${roleArn}2` })
    expect(standIn.asked).toHaveLength(2)
    clock.advance(1)
    await call(request)
    expect(standIn.asked).toHaveLength(3)
  })
})

describe('get_thing_shadow', () => {
  const request = { function: 'get_thing_shadow', thingName: 'pump 1', roleArn } as const

  test.for<[string, object, string]>([
    ['unnamed', {}, '/things/pump%201/shadow'],
    ['named', { shadowName: 's' }, '/things/pump%201/shadow?name=s'],
  ])('%s', async ([, change, url]) => {
    const { call, standIn } = await aws(() => ({ body: '{"state":{"n":1.50}}' }))
    expect(await call({ ...request, ...change })).toBe('{"state":{"n":1.50}}')
    expect(standIn.asked).toMatchObject([{ method: 'GET', url, accessKey: 'ROLE-reader' }])
  })

  test('fails when the shadow does not exist', async () => {
    const { call } = await aws(() => ({
      status: 404,
      headers: { 'x-amzn-errortype': 'ResourceNotFoundException' },
      body: '{"message":"No shadow exists"}',
    }))
    await expect(call(request)).rejects.toThrow('ResourceNotFoundException: No shadow exists')
  })
})

describe('get_registry_data', () => {
  test.for([
    [
      'DescribeThing',
      '/things/t',
      '{"thingName":"t","thingTypeName":"pump","attributes":{"a":"b"},"version":3}',
    ],
    [
      'ListThingGroupsForThing',
      '/things/t/thing-groups',
      '{"thingGroups":[{"groupName":"g","groupArn":"arn"}]}',
    ],
  ] as const)('%s answers as the registry does', async ([operation, url, body]) => {
    const { call, standIn } = await aws(() => ({ body }))
    const request = { function: 'get_registry_data', operation, thingName: 't', roleArn } as const
    expect(JSON.parse(await call(request))).toEqual(JSON.parse(body))
    expect(standIn.asked).toMatchObject([{ method: 'GET', url, accessKey: 'ROLE-reader' }])
  })
})

test('decode reads the descriptor from the bucket, one byte beyond its limit at most', async () => {
  const { call, standIn } = await aws(() => ({
    status: 206,
    headers: { 'content-type': 'application/octet-stream' },
    body: descriptorOf(readingProto),
  }))
  const request = {
    function: 'decode',
    base64: encoded(readingProto, 'fleet.v1.Reading', { sequence: '5' }).toString('base64'),
    bucketName: 'descriptors',
    objectKey: 'v1/reading.desc',
    protoName: 'reading',
    messageType: 'Reading',
  } as const
  expect(await call(request)).toBe('{"sequence":5}')
  expect(await call(request)).toBe('{"sequence":5}')
  expect(standIn.asked).toMatchObject([
    { method: 'GET', range: 'bytes=0-32768', accessKey: 'PROCESS' },
  ])
  expect(standIn.asked[0]?.url).toMatch(/^\/descriptors\/v1\/reading\.desc/)
})

test('a call ends when its message is aborted', async () => {
  const { callExternal } = await aws(() => new Promise(() => {}))
  const abort = new AbortController()
  const answer = callExternal(lambda, abort.signal)
  abort.abort()
  await expect(answer).rejects.toThrow(/given up|aborted/)
})
