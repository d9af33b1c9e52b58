/**
 * The group commit in front of the log: records of many messages become chunks, and chunks one
 * atomic batch. One batch is on its way at a time, so that messages are stored in the order of
 * calls. A message is in one batch with all of its records.
 *
 * While a batch is on its way, the next one gathers. At a middling load that alone makes chunks of
 * one or two records, for which the servers take twenty times the work: then a batch waits a little
 * longer. With few messages no batch waits, and with many each is full anyway.
 */
import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import type { AppendOptions, NewRecord } from '../../outbox/outbox.ts'
import type { ClusterMetrics } from '../../telemetry/cluster-metrics.ts'
import { LogFullError, batchMessagesMax, chunkBytesMax } from '../log/replicated-log.ts'
import type { ReplicatedLog } from '../log/replicated-log.ts'
import { createChunkBatch } from './chunk-batch.ts'
import type { ChunkBatch, EncodedRecord } from './chunk-batch.ts'
import { chunkBytes } from './chunk-codec.ts'
import { createDestinationTokens } from './destination-token.ts'
import { encodeForChunk, laneOfRecord } from './records-of-chunk.ts'

/** Bytes of messages in one batch; one message may be larger. */
const batchBytesMax = 4 * 1024 * 1024
/** What waits for the log. The gate of the ingress bounds the messages that wait for it. */
const waitingBytesMax = 64 * 1024 * 1024
/** Records a second between which a batch gathers for longer. */
const gatherFrom = 200
const gatherUpTo = 20_000
const gatherMs = 20
const rateWindowMs = 500

/** How long a full log is left alone until it is asked again. */
const lookForRoomMs = 250

/** A message that waits for the log. */
interface WaitingMessage {
  /** Whether its records are dropped rather than wait for room. */
  readonly isDroppable: boolean
  readonly records: readonly EncodedRecord[]
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: SluiceError) => void
}

/** What is stored together. */
interface WaitingBatch {
  readonly messages: readonly WaitingMessage[]
  readonly chunks: ChunkBatch
}

interface LogAppend {
  /**
   * Stores the records of one message, all or none, in the order of calls. Resolves when the log
   * has them. While the log is full it waits, unless `whenFull` says to drop them.
   *
   * @throws SluiceError OutboxFull: too much waits; OutboxWriteFailed, or ActionFailed for a record
   *   that is larger than a chunk: rejects, and none of the records is stored
   */
  append(records: readonly NewRecord[], options?: AppendOptions): Promise<void>
  /**
   * Stores records that replace others of the log, ahead of messages that wait, and without waiting
   * for room: only they may make it.
   *
   * @throws SluiceError OutboxFull, OutboxWriteFailed, ActionFailed (rejects)
   */
  appendMoved(records: readonly NewRecord[]): Promise<void>
  /** Whether messages wait for room. */
  isFull(): boolean
  waitingBytes(): number
  /** Refuses later appends. Resolves when those before are in the log, or refused. */
  close(): Promise<void>
}

interface LogAppendDependencies {
  readonly log: Pick<ReplicatedLog, 'append'>
  readonly clock: Clock
  /** Called with records that are dropped, as `whenFull` says. */
  readonly onDropped: (records: readonly NewRecord[]) => void
  readonly metrics?: Pick<ClusterMetrics, 'logCommitSeconds'> | undefined
}

export function createLogAppend(dependencies: LogAppendDependencies): LogAppend {
  const { clock, onDropped } = dependencies
  const handOver = createHandOver(dependencies)
  const encode = createEncoder(clock)
  const rate = createRate(clock)
  const waiting: WaitingMessage[] = []
  let waitingBytes = 0
  let running: Promise<void> | undefined
  let isClosed = false
  const closing = new AbortController()
  const storing = createStoring({ clock, handOver, waiting, settle, closing: closing.signal })

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      if (!isClosed && waitingBytes < batchBytesMax && rate.isMiddling()) {
        await clock.sleep(gatherMs)
      }
      await storing.store(takeBatch(waiting))
    }
    storing.rested()
    running = undefined
  }

  function settle({ bytes, resolve, reject }: WaitingMessage, thrown: unknown): void {
    waitingBytes -= bytes
    if (thrown === undefined) resolve()
    else reject(refusalOf(thrown))
  }

  function start(): void {
    // All appends of this turn of the event loop share the first batch.
    running ??= new Promise((resolve) => setImmediate(() => resolve(run())))
  }

  function enter(records: readonly NewRecord[], isDroppable: boolean): Promise<void> {
    const hasNoRoom = waitingBytes >= waitingBytesMax || (isDroppable && storing.isFull())
    if (isClosed || hasNoRoom) return Promise.reject(refused(isClosed))
    const encoded = encode(records)
    if (encoded instanceof SluiceError) return Promise.reject(encoded)
    const bytes = encoded.reduce((sum, { value }) => sum + value.length, 0)
    rate.count(records.length)
    waitingBytes += bytes
    return new Promise((resolve, reject) => {
      waiting.push({ records: encoded, bytes, isDroppable, resolve, reject })
      start()
    })
  }

  return {
    async append(records, options) {
      if (records.length === 0) return
      try {
        await enter(records, options?.whenFull === 'drop')
      } catch (thrown) {
        const isFull = thrown instanceof SluiceError && thrown.code === 'OutboxFull'
        if (options?.whenFull !== 'drop' || !isFull) throw thrown
        onDropped(records)
        options.onDropped?.(records)
      }
    },
    async appendMoved(records) {
      const encoded = encode(records)
      if (encoded instanceof SluiceError) throw encoded
      await storeMoved(handOver, encoded)
    },
    isFull: () => storing.isFull(),
    waitingBytes: () => waitingBytes,
    async close() {
      isClosed = true
      closing.abort()
      await running
    },
  }
}

/** @returns what was thrown; undefined when nothing was */
async function refusalBy(work: () => Promise<void>): Promise<unknown> {
  try {
    await work()
    return undefined
  } catch (thrown) {
    return thrown
  }
}

/** Stores batches, one after the other, and tries again while the log is full. */
function createStoring({
  clock,
  handOver,
  waiting,
  settle,
  closing,
}: {
  readonly clock: Pick<Clock, 'sleep'>
  readonly handOver: HandOver
  /** Messages behind the batch. */
  readonly waiting: WaitingMessage[]
  readonly settle: (message: WaitingMessage, thrown: unknown) => void
  readonly closing: AbortSignal
}) {
  let isFull = false

  /** @returns those that wait for room */
  function dropSome(messages: readonly WaitingMessage[], thrown: unknown): WaitingMessage[] {
    for (const message of messages) if (message.isDroppable) settle(message, thrown)
    return messages.filter(({ isDroppable }) => !isDroppable)
  }

  /** @returns what is to be tried again */
  async function tryOnce({ messages, chunks }: WaitingBatch): Promise<WaitingBatch | undefined> {
    const thrown = await refusalBy(() => handOver(chunks))
    if (thrown instanceof LogFullError && !closing.aborted) {
      isFull = true
      const left = dropSome(messages, thrown)
      waiting.push(...dropSome(waiting.splice(0), thrown))
      if (left.length === 0) return undefined
      await clock.sleep(lookForRoomMs, closing)
      return takeBatch(left)
    }
    if (thrown === undefined) isFull = false
    for (const message of messages) settle(message, thrown)
    return undefined
  }

  return {
    isFull: () => isFull,
    /** Nothing waits any more. */
    rested(): void {
      isFull = false
    },
    async store(batch: WaitingBatch): Promise<void> {
      let next: WaitingBatch | undefined = batch
      while (next !== undefined) next = await tryOnce(next)
    },
  }
}

async function storeMoved(handOver: HandOver, records: readonly EncodedRecord[]): Promise<void> {
  const chunks = createChunkBatch()
  chunks.add(records)
  const thrown = await refusalBy(() => handOver(chunks, { areMoved: true }))
  if (thrown !== undefined) throw refusalOf(thrown)
}

type HandOver = ReturnType<typeof createHandOver>

/** Makes the function that stores a batch, and measures how long the log takes for it. */
function createHandOver({ log, clock, metrics }: Omit<LogAppendDependencies, 'onDropped'>) {
  return async (batch: ChunkBatch, options?: { readonly areMoved: boolean }): Promise<void> => {
    if (batch.count() > batchMessagesMax) throw tooMany(batch.count())
    const chunks = batch.encode()
    const startedMs = clock.monotonicMs()
    await log.append(chunks, options)
    metrics?.logCommitSeconds.observe((clock.monotonicMs() - startedMs) / 1_000)
  }
}

/** Makes the function that encodes the records of a message; it returns why it cannot. */
function createEncoder(clock: Pick<Clock, 'wallMs'>) {
  const nameOf = createDestinationTokens()
  return (records: readonly NewRecord[]): EncodedRecord[] | SluiceError => {
    const acceptedAtMs = clock.wallMs()
    const encoded: EncodedRecord[] = []
    for (const record of records) {
      const named = nameOf(record.destination)
      const value = encodeForChunk(record, acceptedAtMs)
      const bytes = chunkBytes(named.json, 1, value.length)
      if (bytes > chunkBytesMax) return tooLarge(record, bytes)
      encoded.push({ lane: laneOfRecord(record), named, value })
    }
    return encoded
  }
}

/** Tells by the records of the last moments whether chunks would be small. */
function createRate(clock: Pick<Clock, 'monotonicMs'>) {
  let windowStartMs = clock.monotonicMs()
  let counted = 0
  let perSecond = 0
  return {
    count(records: number): void {
      const elapsedMs = clock.monotonicMs() - windowStartMs
      if (elapsedMs >= rateWindowMs) {
        perSecond = (counted * 1_000) / elapsedMs
        windowStartMs += elapsedMs
        counted = 0
      }
      counted += records
    },
    isMiddling: () => perSecond >= gatherFrom && perSecond <= gatherUpTo,
  }
}

/** Takes the messages of the next batch: at least one. */
function takeBatch(waiting: WaitingMessage[]): WaitingBatch {
  const chunks = createChunkBatch()
  let bytes = 0
  let count = 0
  for (const message of waiting) {
    bytes += message.bytes
    if (count > 0 && (bytes > batchBytesMax || !chunks.hasRoomFor(message.records))) break
    chunks.add(message.records)
    count += 1
  }
  return { messages: waiting.splice(0, count), chunks }
}

function refusalOf(thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const cause = { cause: thrown }
  return thrown instanceof LogFullError
    ? new SluiceError('OutboxFull', `The log of the cluster is full: ${thrown.message}`, cause)
    : new SluiceError('OutboxWriteFailed', `The log took no records: ${messageOf(thrown)}`, cause)
}

function tooLarge({ ruleName, actionIndex }: NewRecord, bytes: number): SluiceError {
  return new SluiceError(
    'ActionFailed',
    `A record of action ${actionIndex} of the rule ${ruleName} takes ${bytes} bytes with its ` +
      `message: the log of a cluster takes ${chunkBytesMax}`,
  )
}

function refused(isClosed: boolean): SluiceError {
  return isClosed
    ? new SluiceError('OutboxWriteFailed', 'The log of the cluster is closed')
    : new SluiceError('OutboxFull', 'Too much waits for the log of the cluster')
}

function tooMany(chunks: number): SluiceError {
  return new SluiceError(
    'ActionFailed',
    `The records of a message make ${chunks} chunks: the log takes ${batchMessagesMax} at once`,
  )
}
