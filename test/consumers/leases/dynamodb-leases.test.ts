import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openDynamoDbLeases } from '../../../src/consumers/leases/dynamodb-leases.ts'
import { startLab } from '../../lab/lab-fixtures.ts'
import { startConsumer } from '../consumer-parts.ts'

type Answer = { readonly status: number; readonly body: object }

const failure = (type: string, message: string, status = 400): Answer => ({
  status,
  body: { __type: `com.amazonaws.dynamodb.v20120810#${type}`, message },
})
const table = {
  TableStatus: 'ACTIVE',
  KeySchema: [{ AttributeName: 'leaseKey', KeyType: 'HASH' }],
  AttributeDefinitions: [{ AttributeName: 'leaseKey', AttributeType: 'S' }],
}
const answers: Readonly<Record<string, Answer>> = {
  DescribeTable: { status: 200, body: { Table: table } },
  Scan: { status: 200, body: { Items: [] } },
  PutItem: { status: 200, body: {} },
}

/** A server that answers as DynamoDB does. */
async function startDynamoDb(changed: (operation: string) => Answer | undefined) {
  const server = createServer((request, response) => {
    const operation = String(request.headers['x-amz-target']).split('.')[1] ?? ''
    const answer = changed(operation) ?? answers[operation] ?? failure('Unknown', operation, 500)
    request.resume().on('end', () => {
      response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.0' })
      response.end(JSON.stringify(answer.body))
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  return openDynamoDbLeases({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${port}`,
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
    tableName: 'leases',
  })
}

async function labWithStream() {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  return lab
}

const denied = failure('AccessDeniedException', 'User: x is not authorized to perform this')
const missing = failure('ResourceNotFoundException', 'Requested resource not found')

describe('a lease table that cannot be used is told of', () => {
  test.each<[string, Readonly<Record<string, Answer>>, string]>([
    [
      'without permission to look at it',
      { DescribeTable: denied },
      'the lease table leases: the credentials do not allow dynamodb:DescribeTable',
    ],
    [
      'without permission to make it',
      { DescribeTable: missing, CreateTable: denied },
      'the lease table leases: the credentials do not allow dynamodb:CreateTable',
    ],
    [
      'without permission to write it',
      { PutItem: denied },
      'the lease table leases: the credentials do not allow dynamodb:PutItem',
    ],
  ])('%s', async (_, changed, message) => {
    const checkpoints = await startDynamoDb((operation) => changed[operation])
    const lab = await labWithStream()
    await expect(startConsumer(lab, { stream: 's', checkpoints })).rejects.toMatchObject({
      code: 'LeaseTableUnusable',
      message,
    })
  })

  test('when it is deleted while it is in use', async () => {
    let isGone = false
    const checkpoints = await startDynamoDb(() => (isGone ? missing : undefined))
    const { consumer } = await startConsumer(await labWithStream(), { stream: 's', checkpoints })
    isGone = true
    await expect(consumer.done).rejects.toMatchObject({
      code: 'LeaseTableUnusable',
      message: expect.stringMatching(/^the lease table leases: Scan has failed: Resource/),
    })
  })
})

test('a table that is being made is waited for, and throttling is waited out', async () => {
  const seen: string[] = []
  const checkpoints = await startDynamoDb((operation) => {
    seen.push(operation)
    const count = seen.filter((each) => each === operation).length
    if (operation === 'DescribeTable' && count === 1) return missing
    if (operation === 'CreateTable') return failure('ResourceInUseException', 'being created')
    if (operation === 'DescribeTable' && count < 4) {
      return { status: 200, body: { Table: { ...table, TableStatus: 'CREATING' } } }
    }
    return operation === 'Scan' && count === 1
      ? failure('ProvisionedThroughputExceededException', 'slower')
      : undefined
  })
  await startConsumer(await labWithStream(), { stream: 's', checkpoints })
  expect(seen.filter((each) => each === 'PutItem')).toHaveLength(1)
})

test('a table that is being deleted is made again when it is gone', async () => {
  const seen: string[] = []
  const checkpoints = await startDynamoDb((operation) => {
    seen.push(operation)
    const count = seen.filter((each) => each === 'DescribeTable').length
    if (operation === 'CreateTable') return { status: 200, body: {} }
    if (operation !== 'DescribeTable') return undefined
    if (count > 1) return seen.includes('CreateTable') ? undefined : missing
    return { status: 200, body: { Table: { ...table, TableStatus: 'DELETING' } } }
  })
  await startConsumer(await labWithStream(), { stream: 's', checkpoints })
  expect(seen.filter((each) => each === 'CreateTable')).toHaveLength(1)
})

test.each([
  [{ tableName: 'a b' }, 'tableName: a b is not the name of a table of DynamoDB'],
  [{ failoverMs: 999 }, 'failoverMs: it must be a whole number from 1000 on'],
  [{ leasesMax: 0 }, 'leasesMax: it must be a whole number from 1 on'],
  [{ checkpointIntervalMs: 0.5 }, 'checkpointIntervalMs: it must be a whole number from 0 on'],
])('the option %j is refused', (options, message) => {
  expect(() => openDynamoDbLeases(options)).toThrow(message)
})

test('an application whose name is not one of a table is refused', async () => {
  const checkpoints = openDynamoDbLeases()
  await expect(
    startConsumer(await labWithStream(), { stream: 's', application: 'a', checkpoints }),
  ).rejects.toMatchObject({
    code: 'InvalidRequestException',
    message: expect.stringContaining('application: a is not the name of a table'),
  })
})
