import { randomUUID } from 'node:crypto'
import { systemClock } from '../../base/clock.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { createCallLog } from '../service/call-log.ts'
import type { CallLog, LabCall } from '../service/call-log.ts'
import type { CheckCaller, LabKeys } from '../service/caller-check.ts'
import { answerFaults, isFaultsRequest } from '../faults/faults-endpoint.ts'
import { createFaults } from '../faults/faults.ts'
import type { Faults } from '../faults/faults.ts'
import { openHttpTransport } from './http-transport.ts'
import type { OperationContext } from '../kinesis-operations/operation.ts'
import { answerKinesis, isKinesisRequest } from './kinesis-protocol.ts'
import type { LabDisk } from '../streams/lab-disk.ts'
import { answer, hostOf } from '../wire/lab-http.ts'
import type { LabAnswer, LabRequest } from '../wire/lab-http.ts'
import { noLimits } from '../streams/shard-limits.ts'
import type { LimitSwitches } from '../streams/shard-limits.ts'
import { recordsOf } from '../streams/stream.ts'
import { createStreamStore } from '../streams/streams.ts'
import type { StreamStore } from '../streams/streams.ts'
import type { StatusDurations } from '../streams/stream-statuses.ts'
import { answerSts, isStsRequest } from '../sts/sts.ts'
import { createSessions } from '../service/role-sessions.ts'
import type { Sessions } from '../service/role-sessions.ts'
import { createTokens } from '../wire/tokens.ts'

/**
 * The lab: a Kinesis and an STS of its own, on one port, with any credentials unless it is strict,
 * in memory and, if asked, on disk. For a laptop, for tests, and for faults on demand (docs/LAB.md).
 */
export interface LabServer {
  readonly host: string
  readonly port: number
  /** Makes the stream unless it is there. */
  ensureStream(name: string, shardCount?: number): void
  readonly streams: LabStreams
  readonly faults: Faults
  /** The last calls that were answered. */
  readonly calls: CallLog
  /** Ends every connection at once; what is stored in memory alone is gone. */
  close(): Promise<void>
}

export interface LabServerOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly region: string
  readonly accountId: string
  readonly clock?: Clock
  readonly logger?: Logger
  /** Shards of the streams that the lab makes by itself. */
  readonly shardCount?: number
  /** A put to a stream that is not there makes it, instead of failing. */
  readonly createsMissingStreams?: boolean
  /** Memory for the records of all streams together; the oldest records go first beyond it. */
  readonly storedBytesMax?: number
  /** AWS's limits of each shard; absent: none. */
  readonly limits?: LimitSwitches
  /** How long streams and consumers are CREATING, UPDATING or DELETING. */
  readonly statusMs?: StatusDurations
  /** Verifies that every call is signed by these keys, or by keys that the lab's STS gave out. */
  readonly strict?: LabKeys
  /** The operator answers for the network: see origin-guard.ts. */
  readonly insecure?: boolean
  /** A folder that streams and records are kept in, beside the memory; absent: none. */
  readonly dataDir?: string | undefined
  /** Calls that `calls` keeps. */
  readonly callsMax?: number
  /** Told of every call when it is answered. */
  readonly onCall?: (call: LabCall) => void
  /** Seed of the probabilities of fault rules. */
  readonly faultSeed?: number
}

/** What is stored, for code in the same process. */
export interface LabStreams {
  /** Sorted. */
  names(): readonly string[]
  /** Every record of the stream, shard by shard, in order; empty for a stream that is not there. */
  records(name: string): readonly LabRecord[]
}

export interface LabRecord {
  readonly shardId: string
  readonly sequenceNumber: string
  readonly partitionKey: string
  readonly data: Buffer
  /** Epoch milliseconds. */
  readonly arrivalMs: number
}

export const shardCountDefault = 4
const storedBytesMaxDefault = 512 * 1024 * 1024
const callsMaxDefault = 1_000
const dropNoticeMs = 60_000

/**
 * Starts the lab.
 *
 * @throws SluiceError PortUnavailable (rejects) when it cannot listen; DataFolderLocked,
 *   DataFolderUnusable, DataFolderVersionUnsupported when its folder cannot be used
 */
export async function createLabServer(options: LabServerOptions): Promise<LabServer> {
  const { clock = systemClock, logger = silent, limits = noLimits } = options
  const { shardCount = shardCountDefault } = options
  const disk = await openDisk(options, clock, logger)
  const faults = createFaults({ seed: options.faultSeed ?? 1 })
  const calls = createCallLog(options.callsMax ?? callsMaxDefault)
  const streams = createStreamStore({
    region: options.region,
    accountId: options.accountId,
    clock,
    storedBytesMax: options.storedBytesMax ?? storedBytesMaxDefault,
    limits,
    ...(options.statusMs && { statusMs: options.statusMs }),
    onDropped: createDropNotice(clock, logger),
    ...(disk && { journal: disk.journal }),
  })
  disk?.restoreInto(streams)
  const observer = (call: LabCall) => {
    calls.add(call)
    options.onCall?.(call)
  }
  const context: OperationContext = {
    clock,
    accountId: options.accountId,
    region: options.region,
    streams,
    tokens: createTokens(clock, disk?.tokenKey),
    faults,
    limits,
    streamForPut(name) {
      if (options.createsMissingStreams) ensureStream(streams, name, shardCount)
      return streams.get(name)
    },
  }
  const sessions = createSessions()
  const checkCaller = await callerCheckOf(options, clock, sessions)
  const kinesis = { context, observer, logger, checkCaller }
  const { accountId, host, insecure = false } = options
  const sts = { clock, accountId, faults, observer, logger, sessions, checkCaller }

  const transport = await openHttpTransport({
    host: options.host,
    port: options.port,
    async handle(request) {
      if (isFaultsRequest(request)) return answerFaults({ faults, logger, host, insecure }, request)
      if (isKinesisRequest(request)) return answerKinesis(kinesis, request)
      if (isStsRequest(request)) return answerSts(sts, request)
      return answerOther(request)
    },
  }).catch(async (error: unknown) => {
    await disk?.close()
    throw error
  })
  return {
    host: options.host,
    port: transport.port,
    ensureStream: (name, count = shardCount) => ensureStream(streams, name, count),
    streams: {
      names: () => streams.list().map((stream) => stream.name),
      records: (name) => readAll(streams, name),
    },
    faults,
    calls,
    async close() {
      streams.close()
      await transport.close()
      await disk?.close()
    },
  }
}

async function openDisk(
  { dataDir: directory }: LabServerOptions,
  clock: Clock,
  logger: Logger,
): Promise<LabDisk | undefined> {
  if (directory === undefined) return undefined
  // LMDB takes its time to load, and most labs do without.
  const { openLabDisk } = await import('../streams/lab-disk.ts')
  return openLabDisk({ directory, clock, logger })
}

async function callerCheckOf(
  { strict: keys, region }: LabServerOptions,
  clock: Clock,
  sessions: Sessions,
): Promise<CheckCaller | undefined> {
  if (!keys) return undefined
  // The signer takes its time to load, and most labs do without.
  const { createCallerCheck } = await import('../service/caller-check.ts')
  return createCallerCheck({ clock, region, keys, sessions })
}

function ensureStream(streams: StreamStore, name: string, shardCount: number): void {
  if (!streams.find(name)) streams.create({ name, shardCount, isReadyAtOnce: true })
}

function readAll(streams: StreamStore, name: string): LabRecord[] {
  const stream = streams.find(name)
  if (!stream) return []
  streams.trim(stream)
  return stream.shards.flatMap((shard) =>
    Array.from(recordsOf(shard), (record) => ({
      shardId: shard.id,
      sequenceNumber: shard.sequenceNumber(record.ordinal, record.arrivalMs),
      partitionKey: record.partitionKey,
      data: record.data,
      arrivalMs: record.arrivalMs,
    })),
  )
}

/** A browser, or a client that does not speak the protocols. */
function answerOther(request: LabRequest): LabAnswer {
  const isLook = request.method === 'GET' || request.method === 'HEAD'
  const body = isLook
    ? 'This is the local Kinesis and STS of Sluice. Point an AWS client at it, for example:\n' +
      `aws --endpoint-url http://${hostOf(request) ?? ''} kinesis list-streams\n`
    : 'Neither a Kinesis request (x-amz-target) nor an STS request (a form with an Action).\n'
  return answer(isLook ? 200 : 400, 'text/plain; charset=utf-8', body, randomUUID())
}

/** Says once a minute that records are lost, not once for each megabyte. */
function createDropNotice(clock: Clock, logger: Logger): (streamName: string) => void {
  let toldMs = -Infinity
  return (streamName) => {
    const nowMs = clock.monotonicMs()
    if (nowMs - toldMs < dropNoticeMs) return
    toldMs = nowMs
    logger.warn({ stream: streamName }, 'the local Kinesis is full: the oldest records are dropped')
  }
}

const silent: Logger = Object.freeze({
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silent as never,
})
