import { request } from 'node:http'
import {
  GetRecordsCommand,
  GetShardIteratorCommand,
  PutRecordCommand,
} from '@aws-sdk/client-kinesis'
import { AssumeRoleCommand } from '@aws-sdk/client-sts'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startLabWorker } from '../../../src/lab/worker/lab-worker.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { accountId, kinesisClient, rawCall, region, startLab, stsClient } from '../lab-fixtures.ts'

const roleArn = 'arn:aws:iam::123456789012:role/iot'

interface Answer {
  readonly status: number
  readonly code: string | null
  readonly body: unknown
}

/** Calls the endpoint as curl does: JSON under the content type of a form. */
async function ask(
  lab: { port: number },
  method: string,
  path = '',
  body?: unknown,
): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${lab.port}/_faults${path}`, {
    method,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    code: response.headers.get('x-amzn-errortype'),
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
  }
}

const addFault = async (lab: { port: number }, rule: object) => {
  const answer = await ask(lab, 'POST', '', rule)
  expect(answer.status).toBe(201)
  return (answer.body as { id: string }).id
}

const put = { StreamName: 's', PartitionKey: 'k', Data: '' }

describe('rules', () => {
  const rule = {
    operation: 'PutRecord',
    times: 2,
    effect: { kind: 'error', code: 'InternalFailure' },
  }

  test('are added, apply, count down, and are removed one by one or all', async () => {
    const lab = await startLab()
    lab.ensureStream('s', 1)
    expect(await ask(lab, 'POST', '', rule)).toMatchObject({
      status: 201,
      body: { id: '1', rule, appliedCount: 0, remainingCount: 2 },
    })
    const endless = { effect: { kind: 'delay', delayMs: 0 } }
    await addFault(lab, endless)
    expect(await rawCall(lab, 'PutRecord', put)).toMatchObject({ status: 500 })
    expect(await ask(lab, 'GET', '/1')).toMatchObject({ body: { remainingCount: 1 } })
    expect(await ask(lab, 'GET')).toEqual({
      status: 200,
      code: null,
      body: {
        faults: [
          { id: '1', rule, appliedCount: 1, remainingCount: 1 },
          { id: '2', rule: endless, appliedCount: 0 },
        ],
      },
    })
    expect(await ask(lab, 'DELETE', '/1')).toMatchObject({ status: 204 })
    expect(await ask(lab, 'DELETE', '/1')).toMatchObject({ status: 404 })
    expect(await rawCall(lab, 'PutRecord', put)).toMatchObject({ status: 200 })
    expect(await ask(lab, 'DELETE')).toMatchObject({ status: 204 })
    expect(await ask(lab, 'GET')).toMatchObject({ body: { faults: [] } })
    expect(await addFault(lab, endless)).toBe('3')
  })

  test('apply in the lab of a thread', async () => {
    const logger = createMemoryLogger(() => undefined)
    const lab = await startLabWorker({ host: '127.0.0.1', port: 0, region, accountId, logger })
    onTestFinished(() => lab.close())
    await lab.ensureStream('s')
    await addFault(lab, { ...rule, times: 1 })
    expect(await rawCall(lab, 'PutRecord', put)).toMatchObject({ status: 500 })
    expect(await rawCall(lab, 'PutRecord', put)).toMatchObject({ status: 200 })
    expect(await ask(lab, 'GET', '/1')).toMatchObject({ body: { remainingCount: 0 } })
  })

  test('throttle the reading of one shard', async () => {
    const lab = await startLab()
    lab.ensureStream('s', 2)
    const code = 'ProvisionedThroughputExceededException'
    const shardId = 'shardId-000000000001'
    await addFault(lab, { operation: 'GetRecords', shardId, effect: { kind: 'error', code } })
    const client = kinesisClient(lab)
    const read = async (ShardId: string) => {
      const { ShardIterator } = await client.send(
        new GetShardIteratorCommand({ StreamName: 's', ShardId, ShardIteratorType: 'LATEST' }),
      )
      return client.send(new GetRecordsCommand({ ShardIterator }))
    }
    await expect(read(shardId)).rejects.toMatchObject({ name: code })
    expect(await read('shardId-000000000000')).toMatchObject({ Records: [] })
  })

  test('deny a role, and expire a token', async () => {
    const lab = await startLab()
    lab.ensureStream('s', 1)
    await addFault(lab, { roleArn, effect: { kind: 'error', code: 'AccessDenied' } })
    await addFault(lab, { times: 1, effect: { kind: 'error', code: 'ExpiredTokenException' } })
    const assume = new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'sluice' })
    await expect(stsClient(lab).send(assume)).rejects.toMatchObject({
      name: 'AccessDenied',
      $metadata: { httpStatusCode: 403 },
    })
    const client = kinesisClient(lab)
    const command = new PutRecordCommand({ ...put, Data: Buffer.of() })
    await expect(client.send(command)).rejects.toMatchObject({ name: 'ExpiredTokenException' })
    expect(await client.send(command)).toMatchObject({ ShardId: 'shardId-000000000000' })
  })

  test('are bounded in number', async () => {
    const lab = await startLab()
    for (let count = 0; count < 1_000; count++) lab.faults.add({ effect: { kind: 'dropCall' } })
    expect(await ask(lab, 'POST', '', { effect: { kind: 'dropCall' } })).toMatchObject({
      code: 'LimitExceededException',
    })
  })

  test('a thousand that cannot apply any more leave room for another one', async () => {
    const lab = await startLab()
    const once = { times: 1, effect: { kind: 'error' as const, code: 'InternalFailure' } }
    for (let count = 0; count < 999; count++) lab.faults.add({ ...once, operation: 'ListStreams' })
    const kept = lab.faults.add({ ...once, operation: 'CreateStream' })
    for (let count = 0; count < 999; count++) await rawCall(lab, 'ListStreams', {})
    expect(lab.faults.list()).toHaveLength(1_000)
    expect(await ask(lab, 'POST', '', once)).toMatchObject({ status: 201 })
    expect(lab.faults.list().map(({ id }) => id)).toEqual([kept.id, '1001'])
  })
})

describe('a rule is refused, and nothing added', () => {
  const error = { kind: 'error', code: 'InternalFailure' }
  const failEntries = { kind: 'failEntries', code: 'InternalFailure' }

  test.each<[body: unknown, message: string]>([
    ['{"effect"', 'the body is not JSON: '],
    ['', 'the body is not JSON: '],
    [[], 'the body must be a JSON object'],
    [{}, 'effect is missing'],
    [{ effect: 'html' }, 'effect must be an object'],
    [{ effect: {} }, 'effect.kind is missing; it must be one of error, html, failEntries, delay, '],
    [{ effect: { kind: 'explode' } }, 'effect.kind must be one of '],
    [{ effect: { kind: '__proto__' } }, 'effect.kind must be one of '],
    [{ effect: { kind: 'error' } }, 'effect.code is missing'],
    [{ effect: { ...error, code: 'No way!' } }, 'effect.code must be the code of an error'],
    [{ effect: { ...error, status: 200 } }, 'effect.status must be a whole number from 400 to 599'],
    [{ effect: { kind: 'html' } }, 'effect.status is missing'],
    [
      { effect: { kind: 'delay', delayMs: '5' } },
      'effect.delayMs must be a whole number from 0 to ',
    ],
    [{ effect: { kind: 'delay', delayMs: 600_001 } }, 'effect.delayMs must be a whole number'],
    [{ effect: { kind: 'delay', ms: 5 } }, 'effect.ms is not a known member; there are delayMs'],
    [
      { effect: { kind: 'dropCall', status: 500 } },
      'effect.status is not a known member; there are none',
    ],
    [
      { effect: { ...failEntries, code: 'AccessDeniedException' } },
      'effect.code must be one of ProvisionedThroughputExceededException, InternalFailure',
    ],
    [
      { effect: error, stream: 's' },
      'stream is not a known member; there are operation, streamName',
    ],
    [{ effect: error, operation: 1 }, 'operation must be the name of an operation'],
    [{ effect: error, operation: 'Put*s' }, 'operation must be the name of an operation'],
    [
      { effect: error, operation: 'PutRecrods' },
      'operation matches no operation of the lab: PutRecrods; was PutRecords meant?',
    ],
    [{ effect: error, operation: 'Nothing*' }, 'operation matches no operation of the lab'],
    [{ effect: error, streamName: '' }, 'streamName must be a text of 1 to '],
    [{ effect: error, times: 0 }, 'times must be a whole number from 1 to '],
    [{ effect: error, after: 1.5 }, 'after must be a whole number from 0 to '],
    [{ effect: error, probability: 2 }, 'probability must be a number from 0 to 1'],
    [{ effect: failEntries, positions: [] }, 'positions must be a list of 1 to 500 positions'],
    [{ effect: failEntries, positions: [500] }, 'positions must be a list of 1 to 500 positions'],
    [{ effect: error, positions: [0] }, 'positions selects entries of PutRecords'],
    [
      { effect: failEntries, operation: 'GetRecords' },
      'operation must be PutRecord, PutRecords or Put*',
    ],
    [{ effect: error, roleArn, operation: 'PutRecord' }, 'roleArn selects calls of AssumeRole'],
  ])('%j', async (body, message) => {
    const lab = await startLab()
    const answer = await ask(lab, 'POST', '', body)
    expect(answer).toMatchObject({ status: 400, code: 'InvalidRequestException' })
    expect((answer.body as { message: string }).message).toContain(message)
    expect(lab.faults.list()).toEqual([])
  })
})

test.each([
  ['PUT', '', 405, 'MethodNotAllowedException'],
  ['POST', '/1', 405, 'MethodNotAllowedException'],
  ['GET', '/1', 404, 'ResourceNotFoundException'],
  ['DELETE', '/', 404, 'ResourceNotFoundException'],
])('%s /_faults%s is answered with %i', async (method, path, status, code) => {
  expect(await ask(await startLab(), method, path)).toMatchObject({ status, code })
})

/** fetch does not let its Host and Origin be chosen. */
const statusFor = (lab: { port: number }, headers: Record<string, string>) =>
  new Promise<number | undefined>((resolve, reject) => {
    const options = { host: '127.0.0.1', port: lab.port, path: '/_faults', headers }
    request(options, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end()
  })

describe('a page in a browser is kept out', () => {
  test.each([
    ['of another origin', { origin: 'https://example.com' }, false, 403],
    ['of another name for this machine', { host: 'rebound.example.com' }, false, 403],
    ['of a sandbox', { origin: 'null' }, false, 403],
    ['not one from here', { host: 'localhost:1', origin: 'http://localhost:1' }, false, 200],
    ['not another name, when the operator says so', { host: 'lab:4567' }, true, 200],
    ['of another origin all the same', { origin: 'https://example.com' }, true, 403],
  ])('%s', async (_what, headers, insecure, status) => {
    const lab = await startLab({ insecure })
    expect(await statusFor(lab, headers)).toBe(status)
  })
})
