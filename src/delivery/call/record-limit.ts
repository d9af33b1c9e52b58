import type { Clock } from '../../base/clock.ts'
import type { Failure, KinesisCalls } from '../../aws/kinesis-calls.ts'
import type { Outgoing } from './outgoing.ts'
import { recordTooLarge } from '../../aws/retry.ts'

/** What every stream takes, and all that one takes whose own limit may not be read. */
export const recordBytesDefault = 1_048_576
/** A stream's limit can be changed at any time. */
const rememberedMs = 600_000

/** The size of a record that a stream takes: its MaxRecordSizeInKiB. */
export interface RecordLimit {
  /** The failure of a record that is too large to be sent; undefined for all others. */
  failureOf(outgoing: Outgoing): Failure | undefined
  /** Learns the limit, unless these records fit any stream. */
  learnFor(records: readonly Outgoing[]): Promise<void> | undefined
}

export function createRecordLimit({
  calls,
  clock,
  stream,
}: {
  readonly calls: Pick<KinesisCalls, 'recordBytesMax'>
  readonly clock: Clock
  readonly stream: { readonly streamName: string; readonly streamArn?: string }
}): RecordLimit {
  let bytesMax = recordBytesDefault
  let askedMs = -Infinity

  async function ask(): Promise<void> {
    bytesMax = (await calls.recordBytesMax(stream)) ?? recordBytesDefault
    askedMs = clock.monotonicMs()
  }

  return Object.freeze({
    learnFor(records: readonly Outgoing[]) {
      const isAnyLarge = records.some(({ record }) => record.bytes > recordBytesDefault)
      if (!isAnyLarge || clock.monotonicMs() - askedMs < rememberedMs) return undefined
      return ask()
    },
    failureOf({ record: { bytes } }: Outgoing) {
      if (bytes <= bytesMax) return undefined
      const message = `The record has ${bytes} bytes with its partition key; the stream takes ${bytesMax}`
      return { code: recordTooLarge, message, source: 'Kinesis' as const }
    },
  })
}
