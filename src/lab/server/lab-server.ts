import { randomUUID } from 'node:crypto'
import { systemClock } from '../../base/clock.ts'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { createCallLog } from '../service/call-log.ts'
import type { CallLog, LabCall } from '../service/call-log.ts'
import type { CheckCaller, LabKeys } from '../service/caller-check.ts'
import { answerFaults, isFaultsRequest } from '../faults/faults-endpoint.ts'
import { createFaultList } from '../faults/fault-list.ts'
import { createFaults } from '../faults/faults.ts'
import type { Faults } from '../faults/faults.ts'
import { createCallContexts } from './call-contexts.ts'
import { createLabInspection } from './lab-inspection.ts'
import type { LabInspection } from './lab-inspection.ts'
import { refuseOrigin } from './refuse-origin.ts'
import { openHttpTransport } from './http-transport.ts'
import { answerKinesis, isKinesisRequest } from './kinesis-protocol.ts'
import type { LabDisk } from '../streams/lab-disk.ts'
import { answer, hostOf } from '../wire/lab-http.ts'
import type { LabAnswer, LabRequest, LabRequestHead } from '../wire/lab-http.ts'
import { parseStreamArn } from '../streams/namespace.ts'
import type { Namespace } from '../streams/namespace.ts'
import { noLimits } from '../streams/shard-limits.ts'
import type { LimitSwitches } from '../streams/shard-limits.ts'
import { recordsOf } from '../streams/stream.ts'
import type { StreamNamespaces } from '../streams/stream-namespaces.ts'
import { createStreamNamespaces } from '../streams/stream-namespaces.ts'
import type { StreamStore } from '../streams/streams.ts'
import type { StatusDurations } from '../streams/stream-statuses.ts'
import { kinesisOperations } from '../kinesis-operations/kinesis-operations.ts'
import { stsOperations } from '../sts/sts-operations.ts'
import { answerSts, isStsRequest } from '../sts/sts.ts'
import { createRoleSessions } from '../service/role-sessions.ts'
import type { RoleSessions } from '../service/role-sessions.ts'
import { createTokens } from '../wire/tokens.ts'

/**
 * The lab: a local Kinesis and STS on one port. It accepts any credentials unless it is strict, and
 * stores streams in memory and optionally on disk. It serves development, tests and fault injection
 * (docs/LAB.md).
 */
export interface LabServer {
  readonly host: string
  readonly port: number
  /**
   * Creates the stream unless it exists.
   * @param stream its ARN, or its name in the account and the region of the lab
   */
  ensureStream(stream: string, shardCount?: number): void
  /**
   * Creates the stream with so many shards, or gives it so many. A stream on demand keeps its own.
   * @throws ServiceError ResourceInUseException, LimitExceededException
   */
  setShardCount(stream: string, shardCount: number): void
  readonly streams: LabStreams
  readonly faults: Faults
  /** What people see of the lab and change in it. */
  readonly inspection: LabInspection
  /** The most recent calls that were answered. */
  readonly calls: CallLog
  /** Closes every connection at once. Without a data folder all streams are lost. */
  close(): Promise<void>
}

export interface LabServerOptions {
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** The namespace of streams that are named without an ARN, for unsigned calls and STS. */
  readonly region: string
  readonly accountId: string
  readonly clock?: Clock
  readonly logger?: Logger
  /** The shard count of streams that the lab creates itself. */
  readonly shardCount?: number
  /** Whether a put to a missing stream creates it instead of failing. */
  readonly createsMissingStreams?: boolean
  /** Memory for the records of all streams; beyond it the oldest records are dropped. */
  readonly storedBytesMax?: number
  /** AWS's limits of each shard; undefined applies none. */
  readonly limits?: LimitSwitches
  /** How long streams and consumers are CREATING, UPDATING or DELETING. */
  readonly statusMs?: StatusDurations
  /** Requires that every call is signed with these keys, or with keys of the lab's STS. */
  readonly strict?: LabKeys | undefined
  /** Whether any `Host` header is accepted: see origin-guard.ts. */
  readonly insecure?: boolean
  /** The folder that also stores streams and records; undefined stores them in memory only. */
  readonly dataDir?: string | undefined
  /** The number of calls in `calls`. */
  readonly callsMax?: number
  /** Called for every call when it is answered. */
  readonly onCall?: (call: LabCall) => void
  /** The seed of the random numbers of fault rules. */
  readonly faultSeed?: number
}

/** The stored records, for code in the same process. */
export interface LabStreams {
  /** Those in the account and the region of the lab, sorted. */
  names(): readonly string[]
  /**
   * Every record of the stream, shard by shard, in order; empty for a missing stream.
   * @param stream its ARN, or its name in the account and the region of the lab
   */
  records(stream: string): readonly LabRecord[]
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
/** What fault rules can select. */
const operations = [...kinesisOperations.keys(), ...stsOperations.keys()]

/**
 * Starts the lab.
 *
 * @throws SluiceError PortUnavailable (rejects) when it cannot listen; DataFolderLocked,
 *   DataFolderUnusable, DataFolderVersionUnsupported when its folder cannot be used
 */
export async function createLabServer(options: LabServerOptions): Promise<LabServer> {
  const { clock = systemClock, logger = silent, limits = noLimits } = options
  const { shardCount = shardCountDefault } = options
  const home = { accountId: options.accountId, region: options.region }
  const { disk, namespaces } = await openStreams(options, home, { clock, logger, limits })
  const faults = createFaults({ seed: options.faultSeed ?? 1 })
  const calls = createCallLog(options.callsMax ?? callsMaxDefault)
  const observer = (call: LabCall) => {
    calls.add(call)
    options.onCall?.(call)
  }
  const contexts = createCallContexts({
    home,
    namespaces,
    shared: { clock, tokens: createTokens(clock, disk?.tokenKey), faults, limits },
    makeStream: options.createsMissingStreams
      ? (streams, name) => makeMissing(streams, name, shardCount)
      : undefined,
  })
  const sessions = createRoleSessions()
  const checkCaller = await callerCheckOf(options, clock, sessions)
  const kinesis = { contexts, observer, logger, sessions, checkCaller, disk }
  const { accountId, host, insecure = false } = options
  const sts = { clock, accountId, faults, observer, logger, sessions, checkCaller }
  const faultList = createFaultList({ faults, operations, logger })
  const faultsEndpoint = { faults: faultList, logger, host, insecure }
  async function answerOf(request: LabRequest): Promise<LabAnswer> {
    if (isFaultsRequest(request)) return answerFaults(faultsEndpoint, request)
    if (isKinesisRequest(request)) return answerKinesis(kinesis, request)
    if (isStsRequest(request)) return answerSts(sts, request)
    return answerOther(request)
  }
  const services = {
    clock,
    refuse: (head: LabRequestHead) => refuseOrigin(head, { host, insecure }),
    handle: async (request: LabRequest) => withDate(await answerOf(request), clock),
  }
  const transport = await openHttpTransport(services, options).catch(async (error: unknown) => {
    await disk?.close()
    throw error
  })
  return {
    host: options.host,
    port: transport.port,
    ensureStream(stream, count = shardCount) {
      const { streamName, ...namespace } = referenceOf(home, stream)
      makeMissing(namespaces.in(namespace), streamName, count)
    },
    setShardCount(stream, wanted) {
      const { streamName, ...namespace } = referenceOf(home, stream)
      scale(namespaces.in(namespace), streamName, wanted)
    },
    streams: labStreamsOf(namespaces, home),
    faults,
    inspection: createLabInspection({ clock, namespaces, faults: faultList }, home),
    calls,
    async close() {
      namespaces.close()
      await transport.close()
      await disk?.close()
    },
  }
}

async function openStreams(
  options: LabServerOptions,
  home: Namespace,
  { clock, logger, limits }: { clock: Clock; logger: Logger; limits: LimitSwitches },
): Promise<{ readonly disk: LabDisk | undefined; readonly namespaces: StreamNamespaces }> {
  const disk = await openDisk(options, clock, logger)
  const namespaces = createStreamNamespaces({
    clock,
    storedBytesMax: options.storedBytesMax ?? storedBytesMaxDefault,
    limits,
    statusMs: options.statusMs,
    onDropped: createDropNotice(clock, logger),
    journal: disk?.journal,
  })
  try {
    await disk?.restoreInto(namespaces, home)
  } catch (thrown) {
    await disk?.close()
    throw thrown
  }
  return { disk, namespaces }
}

function labStreamsOf(namespaces: StreamNamespaces, home: Namespace): LabStreams {
  return {
    names: () =>
      namespaces
        .in(home)
        .list()
        .map(({ name }) => name),
    records(stream) {
      const { streamName, ...namespace } = referenceOf(home, stream)
      return readAll(namespaces.in(namespace), streamName)
    },
  }
}

async function openDisk(
  { dataDir: directory }: LabServerOptions,
  clock: Clock,
  logger: Logger,
): Promise<LabDisk | undefined> {
  if (directory === undefined) return undefined
  // LMDB is slow to load, and most labs do not need it.
  const { openLabDisk } = await import('../streams/lab-disk.ts')
  return openLabDisk({ directory, clock, logger })
}

async function callerCheckOf(
  { strict: keys }: LabServerOptions,
  clock: Clock,
  sessions: RoleSessions,
): Promise<CheckCaller | undefined> {
  if (!keys) return undefined
  // The signature check is slow to load, and most labs do not need it.
  const { createCallerCheck } = await import('../service/caller-check.ts')
  return createCallerCheck({ clock, keys, sessions })
}

/** @param stream an ARN, or a name in the home namespace */
const referenceOf = (home: Namespace, stream: string): Namespace & { streamName: string } =>
  parseStreamArn(stream) ?? { ...home, streamName: stream }

function makeMissing(streams: StreamStore, name: string, shardCount: number): void {
  if (!streams.find(name)) streams.create({ name, shardCount, isReadyAtOnce: true })
}

function scale(streams: StreamStore, name: string, shardCount: number): void {
  const stream = streams.find(name)
  if (!stream) return makeMissing(streams, name, shardCount)
  const { length: current } = stream.openShards
  if (stream.mode !== 'PROVISIONED' || current === shardCount) return
  streams.refuseTooManyShards(Math.max(0, shardCount - current))
  streams.update(stream, { kind: 'scale', shardCount })
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

/** Answers browsers, and clients of other protocols. */
/** The time of an answer is that of the lab, which the arrival times of records have too. */
function withDate(given: LabAnswer, clock: Clock): LabAnswer {
  if (given.kind === 'cut') return given
  const date = new Date(clock.wallMs()).toUTCString()
  return { ...given, headers: { ...given.headers, date } }
}

function answerOther(request: LabRequest): LabAnswer {
  const isLook = request.method === 'GET' || request.method === 'HEAD'
  const body = isLook
    ? 'This is the local Kinesis and STS of Sluice. Point an AWS client at it, for example:\n' +
      `aws --endpoint-url http://${hostOf(request) ?? ''} kinesis list-streams\n`
    : 'Neither a Kinesis request (x-amz-target) nor an STS request (a form with an Action).\n'
  return answer(isLook ? 200 : 400, 'text/plain; charset=utf-8', body, randomUUID())
}

/** Logs at most once a minute that records are dropped, not once for each megabyte. */
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
