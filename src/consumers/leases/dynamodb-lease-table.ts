import {
  CreateTableCommand,
  DeleteItemCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ScanCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import type { AttributeValue, TableDescription } from '@aws-sdk/client-dynamodb'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { CheckpointScope } from '../checkpoints.ts'
import type { KinesisAccess } from '../kinesis-access.ts'
import { limitedCall } from '../limited-call.ts'
import { isRetryable, nameOf, reasonOf } from '../retry-backoff.ts'
import type { LeaseTable } from './lease.ts'
import {
  changesOf,
  isOfSeveralStreams,
  itemOf,
  keyAttribute,
  keyOf,
  leaseOf,
  streamOf,
  versionOf,
} from './lease-row.ts'
import type { Item } from './lease-row.ts'

interface TableDependencies {
  readonly clock: Clock
  readonly access: KinesisAccess
}

interface TableOptions {
  readonly scope: CheckpointScope
  readonly tableName: string
}

/** Shorter than the failover time, so that a call that hangs leaves time for another one. */
const callTimeoutMs = 2_000
const activeWaitMsMax = 120_000
const activeIntervalMs = 1_000

/** Makes one call, and gives what can never succeed a code of ours. */
type Call = <Answer>(
  operation: string,
  send: (abortSignal: AbortSignal) => Promise<Answer>,
  signal?: AbortSignal,
) => Promise<Answer>

/**
 * Opens the table, or makes it.
 *
 * @throws SluiceError LeaseTableUnusable: permissions, another key, another stream (rejects);
 *   errors of the client that may pass
 */
export async function openDynamoDbLeaseTable(
  { clock, access }: TableDependencies,
  { scope, tableName }: TableOptions,
  signal: AbortSignal | undefined,
): Promise<LeaseTable> {
  const client = new DynamoDBClient({
    ...access,
    maxAttempts: 1,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: callTimeoutMs,
      requestTimeout: callTimeoutMs,
      throwOnRequestTimeout: true,
    }),
  })
  const call: Call = async (operation, send, callSignal) => {
    try {
      return await limitedCall(clock, { timeoutMs: callTimeoutMs, signal: callSignal }, send)
    } catch (thrown) {
      const isExpected = nameOf(thrown) === expected[operation]
      if (callSignal?.aborted || isExpected || isRetryable(thrown)) throw thrown
      throw unusable(tableName, operation, thrown)
    }
  }
  const table = createLeaseCalls(client, call, { scope, tableName })
  try {
    await ensureTable({ client, call, clock }, tableName, signal)
    await removeEarlierStream(table, { scope, tableName }, signal)
  } catch (thrown) {
    client.destroy()
    throw thrown
  }
  return table
}

const refused = 'ConditionalCheckFailedException'
/** What tells of the state of the table or of a lease, by the operation. */
const expected: Readonly<Record<string, string>> = {
  DescribeTable: 'ResourceNotFoundException',
  CreateTable: 'ResourceInUseException',
  PutItem: refused,
  UpdateItem: refused,
  DeleteItem: refused,
}

function unusable(tableName: string, operation: string, thrown: unknown): SluiceError {
  const isDenied = nameOf(thrown) === 'AccessDeniedException'
  const reason = isDenied
    ? `the credentials do not allow dynamodb:${operation}`
    : `${operation} has failed: ${reasonOf(thrown)}`
  return new SluiceError('LeaseTableUnusable', `the lease table ${tableName}: ${reason}`, {
    cause: thrown,
  })
}

interface LeaseCalls extends LeaseTable {
  items(signal?: AbortSignal): Promise<readonly Item[]>
  /** Removes a lease of an earlier stream, unless it was replaced meanwhile. */
  removeItem(item: Item): Promise<boolean>
}

function createLeaseCalls(client: DynamoDBClient, call: Call, options: TableOptions): LeaseCalls {
  return {
    ...createLeaseReads(client, call, options),
    ...createLeaseWrites(client, call, options),
    close: () => client.destroy(),
  }
}

function createLeaseReads(
  client: DynamoDBClient,
  call: Call,
  { tableName: TableName }: TableOptions,
): Pick<LeaseCalls, 'items' | 'list' | 'get'> {
  async function items(signal?: AbortSignal): Promise<readonly Item[]> {
    const found: Item[] = []
    let next: Item | undefined
    do {
      const command = new ScanCommand({
        TableName,
        ConsistentRead: true,
        ...(next && { ExclusiveStartKey: next }),
      })
      const page = await call(
        'Scan',
        (abortSignal) => client.send(command, { abortSignal }),
        signal,
      )
      found.push(...(page.Items ?? []))
      next = page.LastEvaluatedKey
    } while (next)
    return found
  }

  return {
    items,
    list: async (signal) => (await items(signal)).flatMap((item) => leaseOf(item) ?? []),
    async get(shardId) {
      const command = new GetItemCommand({ TableName, Key: keyOf(shardId), ConsistentRead: true })
      const send = (abortSignal: AbortSignal) => client.send(command, { abortSignal })
      const { Item: item } = await call('GetItem', send)
      return item && leaseOf(item)
    },
  }
}

function createLeaseWrites(
  client: DynamoDBClient,
  call: Call,
  { scope, tableName: TableName }: TableOptions,
): Pick<LeaseCalls, 'create' | 'replace' | 'remove' | 'removeItem'> {
  /** @returns whether the write was made; false when its condition does not hold */
  async function write(
    operation: string,
    send: (abortSignal: AbortSignal) => Promise<unknown>,
  ): Promise<boolean> {
    try {
      await call(operation, send)
      return true
    } catch (thrown) {
      if (nameOf(thrown) === refused) return false
      throw thrown
    }
  }

  function remove(shardId: string, condition: Condition): Promise<boolean> {
    const input = { TableName, Key: keyOf(shardId), ...expressionOf(condition) }
    return write('DeleteItem', (abortSignal) =>
      client.send(new DeleteItemCommand(input), { abortSignal }),
    )
  }

  return {
    create(lease) {
      const ConditionExpression = `attribute_not_exists(${keyAttribute})`
      const input = { TableName, Item: itemOf(lease, scope), ConditionExpression }
      return write('PutItem', (abortSignal) =>
        client.send(new PutItemCommand(input), { abortSignal }),
      )
    },
    replace(before, after) {
      const update = updateOf(changesOf(before, after), versionOf(before))
      const input = { TableName, Key: keyOf(before.shardId), ...update }
      return write('UpdateItem', (abortSignal) =>
        client.send(new UpdateItemCommand(input), { abortSignal }),
      )
    },
    remove: (lease) => remove(lease.shardId, versionOf(lease)),
    removeItem(item) {
      const { sluiceStream, sluiceStreamCreated } = item
      return remove(item[keyAttribute]?.S ?? '', { sluiceStream, sluiceStreamCreated })
    },
  }
}

/** The attributes that an item must have; undefined: that it must not have. */
type Condition = Readonly<Record<string, AttributeValue | undefined>>

function expressionOf(condition: Condition) {
  const entries = Object.entries(condition)
  const parts = entries.map(([name, value]) =>
    value ? `${name} = :is_${name}` : `attribute_not_exists(${name})`,
  )
  const values = entries.flatMap(([name, value]) => (value ? [[`:is_${name}`, value]] : []))
  return {
    ConditionExpression: parts.join(' AND '),
    ExpressionAttributeValues: Object.fromEntries(values) as Item,
  }
}

function updateOf(changes: Condition, condition: Condition) {
  const entries = Object.entries(changes)
  const sets = entries.flatMap(([name, value]) => (value ? [`${name} = :${name}`] : []))
  const removals = entries.flatMap(([name, value]) => (value ? [] : [name]))
  const values = entries.flatMap(([name, value]) => (value ? [[`:${name}`, value]] : []))
  const { ConditionExpression, ExpressionAttributeValues } = expressionOf(condition)
  return {
    UpdateExpression: [
      ...(sets.length > 0 ? [`SET ${sets.join(', ')}`] : []),
      ...(removals.length > 0 ? [`REMOVE ${removals.join(', ')}`] : []),
    ].join(' '),
    ConditionExpression,
    ExpressionAttributeValues: {
      ...ExpressionAttributeValues,
      ...(Object.fromEntries(values) as Item),
    },
  }
}

interface EnsureDependencies {
  readonly client: DynamoDBClient
  readonly call: Call
  readonly clock: Clock
}

/** Makes the table when it is missing, and waits until it can be used. */
async function ensureTable(
  { client, call, clock }: EnsureDependencies,
  tableName: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const describe = async (): Promise<TableDescription | undefined> => {
    const command = new DescribeTableCommand({ TableName: tableName })
    try {
      const send = (abortSignal: AbortSignal) => client.send(command, { abortSignal })
      return (await call('DescribeTable', send, signal)).Table
    } catch (thrown) {
      if (nameOf(thrown) === 'ResourceNotFoundException') return undefined
      throw thrown
    }
  }
  const create = async (): Promise<void> => {
    const command = new CreateTableCommand({
      TableName: tableName,
      AttributeDefinitions: [{ AttributeName: keyAttribute, AttributeType: 'S' }],
      KeySchema: [{ AttributeName: keyAttribute, KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    })
    try {
      await call('CreateTable', (abortSignal) => client.send(command, { abortSignal }), signal)
    } catch (thrown) {
      // Another process makes it.
      if (nameOf(thrown) !== 'ResourceInUseException') throw thrown
    }
  }

  let found = await describe()
  if (!found) await create()
  const startedMs = clock.monotonicMs()
  while (!found || !isUsable(found)) {
    if (clock.monotonicMs() - startedMs > activeWaitMsMax) {
      const status = found?.TableStatus ?? 'missing'
      throw new SluiceError('LeaseTableUnusable', `the lease table ${tableName} is ${status}`)
    }
    if (found) await clock.sleep(activeIntervalMs, signal)
    signal?.throwIfAborted()
    found = await describe()
    if (found) continue
    // One that was being deleted is gone now. One that was just made may not be seen yet.
    await create()
    await clock.sleep(activeIntervalMs, signal)
  }
  checkKey(tableName, found)
}

const isUsable = ({ TableStatus: status }: TableDescription) =>
  status === 'ACTIVE' || status === 'UPDATING'

function checkKey(tableName: string, table: TableDescription): void {
  const typeOf = (name: string | undefined) =>
    table.AttributeDefinitions?.find(({ AttributeName }) => AttributeName === name)?.AttributeType
  const keys = (table.KeySchema ?? []).map(({ AttributeName: name }) => `${name} (${typeOf(name)})`)
  const wanted = `${keyAttribute} (S)`
  if (keys.length === 1 && keys[0] === wanted) return
  throw new SluiceError(
    'LeaseTableUnusable',
    `the lease table ${tableName} has the key ${keys.join(', ')} instead of ${wanted} alone; ` +
      'name another table',
  )
}

/** Removes the leases of a stream that was deleted and made again under the same name. */
async function removeEarlierStream(
  table: LeaseCalls,
  { scope, tableName }: TableOptions,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const item of await table.items(signal)) {
    const { arn, createdMs } = streamOf(item)
    const other = isOfSeveralStreams(item) ? 'several streams' : arn
    if (other !== undefined && other !== scope.streamArn) {
      throw new SluiceError(
        'LeaseTableUnusable',
        `the lease table ${tableName} has leases of ${other}, and not of ${scope.streamArn}: each ` +
          'application and stream needs a table of its own',
      )
    }
    if (createdMs !== undefined && createdMs !== scope.streamCreatedMs) await table.removeItem(item)
  }
}
