import type { Checkpoint } from '../../src/consumers/checkpoints.ts'
import { positionAfter } from '../../src/consumers/checkpoints.ts'
import type { KinesisRecord, ShardPosition, ShardRead } from '../../src/consumers/shard-reader.ts'
import type { InvokeOutcome } from '../../src/event-source/functions/lambda-function.ts'
import type { MappingSettings } from '../../src/event-source/mapping-settings.ts'
import { processShard } from '../../src/event-source/shard-processor.ts'
import type { ShardProcessorContext } from '../../src/event-source/shard-processor.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import type { ManualClock } from '../helpers/manual-clock.ts'

export const settingsDefault: MappingSettings = {
  FunctionName: 'f',
  EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
  Enabled: true,
  BatchSize: 100,
  MaximumBatchingWindowInSeconds: 0,
  StartingPosition: 'TRIM_HORIZON',
  ParallelizationFactor: 1,
  BisectBatchOnFunctionError: false,
  MaximumRetryAttempts: -1,
  MaximumRecordAgeInSeconds: -1,
  TumblingWindowInSeconds: 0,
  FunctionResponseTypes: [],
}

export interface WindowEvent {
  readonly Records: readonly {
    readonly kinesis: { readonly sequenceNumber: string; readonly data: string }
  }[]
  readonly window: { readonly start: string; readonly end: string }
  readonly state: { readonly texts?: readonly string[] }
  readonly isFinalInvokeForWindow: boolean
  readonly isWindowTerminatedEarly: boolean
}

/** An invocation that waits for its answer. */
export interface TestCall {
  readonly event: WindowEvent
  answer(outcome: InvokeOutcome): void
}

interface TestSave {
  readonly checkpoint: Checkpoint
  /** The calls that had been answered when the checkpoint was made. */
  readonly answeredCalls: number
  readonly done: () => void
}

/** One run of a mapping over the shard, from what the disk has. */
export interface ShardRun {
  readonly calls: TestCall[]
  readonly saves: TestSave[]
  /** The shard is read once more. */
  read(recordsMax?: number): void
  readonly done: Promise<unknown>
  readonly stopping: AbortController
}

/** Lets everything happen that needs neither time nor an answer. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

export const returned = (value: unknown): InvokeOutcome => ({
  kind: 'returned',
  requestId: 'r',
  payload: JSON.stringify(value),
})

export const failed: InvokeOutcome = {
  kind: 'failed',
  requestId: 'r',
  errorType: 'Error',
  errorMessage: 'no',
}

export const textsIn = ({ Records }: WindowEvent) =>
  Records.map(({ kinesis }) => Buffer.from(kinesis.data, 'base64').toString())

/** The answer of a function whose state lists the texts of all records of the window. */
export const collected = (event: WindowEvent): InvokeOutcome =>
  returned({ state: { texts: [...(event.state.texts ?? []), ...textsIn(event)] } })

/**
 * A shard in memory and a mapping that processes it. The test decides when time passes, when the
 * shard is read, how each invocation ends, and when a checkpoint is on disk.
 */
export function createTestShard(clock: ManualClock = createManualClock()) {
  const records: KinesisRecord[] = []
  const given: object[] = []
  const logLines: Record<string, unknown>[] = []
  let disk: Checkpoint | undefined
  let answeredCalls = 0
  let run: ShardRun | undefined

  const log = (line: object) => void logLines.push({ ...line })

  function start(
    changes: Partial<MappingSettings> = {},
    filters: ShardProcessorContext['filters'] = [],
    isHeld: () => boolean = () => true,
  ): ShardRun {
    const stopping = new AbortController()
    const calls: TestCall[] = []
    const saves: TestSave[] = []
    const permits: number[] = []
    let wake: (() => void) | undefined
    const started: ShardRun = {
      calls,
      saves,
      stopping,
      read(recordsMax = 1_000) {
        permits.push(recordsMax)
        wake?.()
      },
      done: processShard(contextOf(calls, readerOf), {
        shard: {
          shardId: 'shardId-000000000000',
          parentIds: [],
          startingHashKey: 0n,
          endingHashKey: 1n,
          isClosed: false,
        },
        from: disk && disk.kind !== 'ended' ? positionAfter(disk) : { type: 'TRIM_HORIZON' },
        checkpoint: disk?.kind === 'after' ? disk : undefined,
        state: disk?.kind === 'ended' ? undefined : disk?.state,
        signal: stopping.signal,
        // A lease that is over ends the work, as its time would.
        isHeld: () => {
          if (!isHeld()) stopping.abort()
          return isHeld()
        },
        save: (saved) =>
          new Promise((done) => saves.push({ checkpoint: saved, answeredCalls, done })),
      }),
    }
    function contextOf(
      into: TestCall[],
      read: ShardProcessorContext['reader']['read'],
    ): ShardProcessorContext {
      return {
        uuid: 'u',
        settings: { ...settingsDefault, ...changes },
        streamArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
        functionArnNow: () => 'arn:aws:lambda:us-east-1:000000000000:function:f',
        originOf: (shardId) => ({
          shardId,
          region: 'us-east-1',
          eventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
          invokeIdentityArn: 'arn:aws:iam::000000000000:role/lambda-role',
        }),
        failures: {
          write: async (_, document) => void given.push(document),
        },
        clock,
        logger: { warn: log, error: log },
        findFunction: async () => ({
          invoke: (payload) =>
            new Promise((resolve) => {
              const call: TestCall = {
                event: JSON.parse(payload) as WindowEvent,
                answer(outcome) {
                  into.splice(into.indexOf(call), 1)
                  answeredCalls++
                  resolve(outcome)
                },
              }
              into.push(call)
            }),
        }),
        abandon: new AbortController().signal,
        onResult: () => undefined,
        reader: { read },
        filters,
        opensAggregates: false,
      }
    }

    async function* readerOf(_: string, from: ShardPosition, signal: AbortSignal) {
      let next = nextOf(records, from)
      signal.addEventListener('abort', () => wake?.())
      while (!signal.aborted) {
        const recordsMax = permits.shift()
        if (recordsMax === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve
          })
          continue
        }
        const part = records.slice(next, next + recordsMax)
        next += part.length
        const read: ShardRead = {
          records: part,
          millisBehindLatest: next < records.length ? 1 : 0,
          asOfMs: clock.wallMs(),
          readMs: clock.monotonicMs(),
        }
        yield read
      }
    }
    run = started
    return started
  }

  return {
    clock,
    records,
    /** The documents of what was given up. */
    given,
    logLines,
    start,
    disk: () => disk,
    answeredCalls: () => answeredCalls,
    put(text: string, partitionKey = 'k') {
      const number = String(records.length + 1)
      records.push({
        sequenceNumber: `49${number.padStart(10, '0')}`,
        partitionKey,
        data: Buffer.from(text),
        approximateArrivalMs: clock.wallMs(),
      })
    },
    setDisk(checkpoint: Checkpoint) {
      disk = checkpoint
    },
    /** The next checkpoint reaches the disk. @returns it, if there was one */
    flush(): TestSave | undefined {
      const save = run?.saves.shift()
      if (!save) return undefined
      disk = save.checkpoint
      save.done()
      return save
    },
    /** The process is killed: of this run nothing reaches the disk any more. */
    crash() {
      run?.saves.splice(0)
      run?.calls.splice(0)
      run = undefined
    },
  }
}

function nextOf(records: readonly KinesisRecord[], from: ShardPosition): number {
  if (!('sequenceNumber' in from)) return 0
  const at = records.findIndex(({ sequenceNumber }) => sequenceNumber === from.sequenceNumber)
  return at + 1
}
