/**
 * A lease as an item of DynamoDB: the attributes of the Kinesis Client Library (its class
 * DynamoDBLeaseSerializer, releases 2 and 3), and three of our own, which it leaves alone.
 *
 *     leaseKey S                     the shard id
 *     leaseOwner S                   absent: nobody
 *     checkpointOwner S              while `leaseOwner` waits for this process (KCL 3)
 *     leaseCounter N, ownerSwitchesSinceCheckpoint N
 *     checkpoint S                   a sequence number, TRIM_HORIZON, LATEST, AT_TIMESTAMP or
 *                                    SHARD_END
 *     checkpointSubSequenceNumber N  the last record of an aggregate that is processed, from 0
 *     parentShardId SS, childShardIds SS, startingHashKey S, endingHashKey S
 *     entityType S                   LEASE; other types are for the KCL alone
 *     sluiceStartTime N              epoch ms: when LATEST or AT_TIMESTAMP is
 *     sluiceStream S                 the ARN of the stream
 *     sluiceStreamCreated N          epoch ms: when the stream was made
 */
import type { AttributeValue } from '@aws-sdk/client-dynamodb'
import type { Checkpoint, CheckpointScope } from '../checkpoints.ts'
import type { Lease, LeaseCheckpoint } from './lease.ts'

export type Item = Record<string, AttributeValue>

export const keyAttribute = 'leaseKey'
const leaseType = 'LEASE'
/** A checkpoint of the KCL in two steps has its first step here; any other checkpoint ends it. */
const pendingAttributes = [
  'pendingCheckpoint',
  'pendingCheckpointSubSequenceNumber',
  'pendingCheckpointState',
]

const checkpointNames: ReadonlySet<string> = new Set(['checkpoint', 'checkpointSubSequenceNumber'])

export const keyOf = (shardId: string): Item => ({ [keyAttribute]: { S: shardId } })

/** The item of a new lease. */
export function itemOf(lease: Lease, { streamArn, streamCreatedMs }: CheckpointScope): Item {
  return {
    ...keyOf(lease.shardId),
    ...definedOf(attributesOf(lease)),
    entityType: { S: leaseType },
    sluiceStream: { S: streamArn },
    sluiceStreamCreated: { N: String(streamCreatedMs) },
  }
}

/** What identifies the state of a lease: a write is refused when it is another one. */
export function versionOf({ counter, owner, handedOverBy }: Lease) {
  return {
    leaseCounter: { N: String(counter) },
    leaseOwner: textOf(owner),
    checkpointOwner: textOf(handedOverBy),
  }
}

/** The attributes that a write changes; undefined removes one. */
export function changesOf(before: Lease, after: Lease): Record<string, AttributeValue | undefined> {
  const old = attributesOf(before)
  const changed = Object.entries(attributesOf(after)).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(old[name]),
  )
  const isCheckpoint = changed.some(([name]) => checkpointNames.has(name))
  const pending = isCheckpoint ? pendingAttributes : []
  return {
    ...Object.fromEntries(changed),
    ...Object.fromEntries(pending.map((name) => [name, undefined])),
  }
}

function attributesOf(lease: Lease): Record<string, AttributeValue | undefined> {
  const { hashKeys, ownerSwitches, parentIds, childIds } = lease
  return {
    ...versionOf(lease),
    ...checkpointAttributes(lease),
    ownerSwitchesSinceCheckpoint: { N: String(ownerSwitches) },
    parentShardId: setOf(parentIds),
    childShardIds: setOf(childIds),
    startingHashKey: textOf(hashKeys && String(hashKeys.starting)),
    endingHashKey: textOf(hashKeys && String(hashKeys.ending)),
  }
}

function checkpointAttributes({ checkpoint, isFromLatest }: Lease) {
  const startMs =
    checkpoint.kind === 'start' && checkpoint.position.type === 'AT_TIMESTAMP'
      ? checkpoint.position.timestampMs
      : undefined
  return {
    checkpoint: { S: checkpointText(checkpoint, isFromLatest) },
    checkpointSubSequenceNumber: { N: String(subSequenceNumberOf(checkpoint)) },
    sluiceStartTime: startMs === undefined ? undefined : { N: String(startMs) },
  }
}

function checkpointText(checkpoint: LeaseCheckpoint, isFromLatest: boolean): string {
  if (checkpoint.kind === 'after') return checkpoint.sequenceNumber
  if (checkpoint.kind === 'ended') return 'SHARD_END'
  if (checkpoint.kind === 'start' && checkpoint.position.type === 'TRIM_HORIZON') {
    return 'TRIM_HORIZON'
  }
  return isFromLatest ? 'LATEST' : 'AT_TIMESTAMP'
}

function subSequenceNumberOf(checkpoint: LeaseCheckpoint): number {
  if (checkpoint.kind !== 'after') return 0
  return checkpoint.subSequenceNumber ?? checkpoint.lastSubSequenceNumber ?? 0
}

/** @returns undefined for an item of the table that is not a lease */
export function leaseOf(item: Item): Lease | undefined {
  const shardId = item[keyAttribute]?.S
  if (shardId === undefined || (item['entityType']?.S ?? leaseType) !== leaseType) return undefined
  const starting = item['startingHashKey']?.S
  const ending = item['endingHashKey']?.S
  return {
    shardId,
    owner: item['leaseOwner']?.S,
    handedOverBy: item['checkpointOwner']?.S,
    counter: numberOf(item['leaseCounter']?.N) ?? 0,
    checkpoint: checkpointOf(item),
    isFromLatest: item['checkpoint']?.S === 'LATEST',
    ownerSwitches: numberOf(item['ownerSwitchesSinceCheckpoint']?.N) ?? 0,
    parentIds: item['parentShardId']?.SS ?? [],
    childIds: item['childShardIds']?.SS ?? [],
    hashKeys:
      starting && ending ? { starting: BigInt(starting), ending: BigInt(ending) } : undefined,
  }
}

/**
 * The KCL counts the records of an aggregate also when all of them are processed. So the record of
 * a checkpoint is always read again, and its processed part is skipped.
 */
function checkpointOf(item: Item): LeaseCheckpoint {
  const text = item['checkpoint']?.S ?? 'TRIM_HORIZON'
  const timestampMs = numberOf(item['sluiceStartTime']?.N)
  switch (text) {
    case 'SHARD_END':
      return { kind: 'ended' }
    case 'TRIM_HORIZON':
      return { kind: 'start', position: { type: 'TRIM_HORIZON' } }
    case 'LATEST':
    case 'AT_TIMESTAMP':
      if (timestampMs === undefined) return { kind: 'untimed' }
      return { kind: 'start', position: { type: 'AT_TIMESTAMP', timestampMs } }
    default: {
      const subSequenceNumber = numberOf(item['checkpointSubSequenceNumber']?.N) ?? 0
      return { kind: 'after', sequenceNumber: text, subSequenceNumber } satisfies Checkpoint
    }
  }
}

/** The stream that a lease was made for, when Sluice has made it. */
export function streamOf(item: Item): { readonly arn?: string; readonly createdMs?: number } {
  const arn = item['sluiceStream']?.S
  const createdMs = numberOf(item['sluiceStreamCreated']?.N)
  return { ...(arn !== undefined && { arn }), ...(createdMs !== undefined && { createdMs }) }
}

/** The KCL keeps the leases of several streams under keys that name the stream. */
export const isOfSeveralStreams = (item: Item) => item['streamName'] !== undefined

const numberOf = (text: string | undefined) => (text === undefined ? undefined : Number(text))
const textOf = (text: string | undefined) => (text === undefined ? undefined : { S: text })
const setOf = (texts: readonly string[]) => (texts.length === 0 ? undefined : { SS: [...texts] })

function definedOf(attributes: Record<string, AttributeValue | undefined>): Item {
  return Object.fromEntries(
    Object.entries(attributes).flatMap(([name, value]) => (value ? [[name, value]] : [])),
  )
}
