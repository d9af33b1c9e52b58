import type { QueuedRecord } from '../../outbox/outbox.ts'
import type { Filling } from '../call/call-builder.ts'
import { newOutgoing, payloadBytesOf } from '../call/outgoing.ts'
import type { Outgoing, Returned } from '../call/outgoing.ts'
import type { Amount } from './send-queue.ts'
import type { ShardMap } from '../shards/shard-map.ts'

/** The records of one partition key that are not in flight, in order. */
export interface Lane {
  readonly partitionKey: string
  waiting: Outgoing[]
  /** Of data and keys of those that wait. */
  bytes: number
  /** The shard of the key, by the map that it was looked up in: while a shard is throttled. */
  shardId: string | undefined
  shardMap: ShardMap | undefined
}

export function newLane(partitionKey: string): Lane {
  return { partitionKey, waiting: [], bytes: 0, shardId: undefined, shardMap: undefined }
}

export function putFirst(lane: Lane, returned: readonly Returned[]): void {
  if (returned.length === 0) return
  lane.waiting = [...returned, ...lane.waiting]
  lane.bytes += payloadBytesOf(returned)
}

export function putLast(lane: Lane, record: QueuedRecord): void {
  lane.waiting.push(newOutgoing(record))
  lane.bytes += record.bytes
}

/** What waits in the lanes. */
export function amountOf(lanes: readonly Lane[]): Amount {
  let records = 0
  let bytes = 0
  for (const lane of lanes) {
    records += lane.waiting.length
    bytes += lane.bytes
  }
  return { records, bytes }
}

/** Moves so many records from the head of a lane into a call. */
export function moveInto(filling: Filling, lane: Lane, count: number): void {
  const records = lane.waiting.splice(0, count)
  lane.bytes -= payloadBytesOf(records)
  filling.take(records)
}

/** The lanes that may go, in turn, and what is in them. */
export interface ReadyLanes {
  add(lane: Lane): void
  /** A record was added to the end of a lane, ready or not. */
  grown(lane: Lane, bytes: number): void
  /** Moves what fits from the heads of ready lanes into a call: they are in flight, or held. */
  fill(filling: Filling, holding?: LaneHolding): void
  clear(): void
  amount(): Amount
}

/** Holds lanes back that are otherwise ready. */
export interface LaneHolding {
  /** How many records the call may take from the head of the lane. */
  recordsMax(lane: Lane): number
  took(lane: Lane, count: number): void
  /** The lane may not go: it is no longer among the ready ones. */
  hold(lane: Lane): void
}

/** @param perLaneMax records of a lane in one call */
export function createReadyLanes(perLaneMax: number): ReadyLanes {
  const lanes = new Set<Lane>()
  const amount = { records: 0, bytes: 0 }

  function count(lane: Lane, sign: 1 | -1): void {
    amount.records += sign * Math.min(lane.waiting.length, perLaneMax)
    amount.bytes += sign * lane.bytes
  }

  function remove(lane: Lane): void {
    lanes.delete(lane)
    count(lane, -1)
  }

  return {
    add(lane) {
      if (lanes.has(lane)) return
      lanes.add(lane)
      count(lane, 1)
    },
    grown(lane, bytes) {
      if (!lanes.has(lane)) return
      if (lane.waiting.length <= perLaneMax) amount.records += 1
      amount.bytes += bytes
    },
    fill(filling, holding) {
      for (const lane of lanes) {
        if (filling.isClosed()) return
        const recordsMax = Math.min(perLaneMax, holding?.recordsMax(lane) ?? perLaneMax)
        if (recordsMax === 0) {
          remove(lane)
          holding?.hold(lane)
          continue
        }
        const taking = filling.fitting(lane.waiting, recordsMax)
        if (taking === 0) continue
        remove(lane)
        holding?.took(lane, taking)
        moveInto(filling, lane, taking)
      }
    },
    clear() {
      lanes.clear()
      Object.assign(amount, { records: 0, bytes: 0 })
    },
    amount: () => ({ records: amount.records, bytes: amount.bytes }),
  }
}
