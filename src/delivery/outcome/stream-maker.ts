import { messageOf } from '../../base/errors.ts'
import type { QueuedDestination } from '../../outbox/outbox.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { Failure } from '../../aws/failure-class.ts'

/** Has a stream made that Kinesis does not know, where the engine was told how: in the lab. */
export interface StreamMaker {
  /** True when the stream is being made because of this failure: it is no condition to report. */
  make(failure: Failure): boolean
  /** The stream was written to: should it go missing again, it may be made again. */
  found(): void
}

interface StreamMakerDependencies {
  readonly queued: QueuedDestination
  readonly logger: Logger
  readonly makeStream?: (streamName: string) => Promise<void>
}

export function createStreamMaker(
  { queued, logger, makeStream: create }: StreamMakerDependencies,
  { onMade }: { readonly onMade: () => void },
): StreamMaker {
  const { streamName } = queued.destination
  let state: 'unknown' | 'being made' | 'made' = 'unknown'

  async function make(createStream: (streamName: string) => Promise<void>): Promise<void> {
    try {
      await createStream(streamName)
      state = 'made'
      onMade()
    } catch (error) {
      state = 'unknown'
      logger.error({ stream: streamName, reason: messageOf(error) }, 'stream could not be made')
    }
  }

  return {
    make({ code }: Failure) {
      if (create === undefined || code !== 'ResourceNotFoundException') return false
      // Made and still not found: then it waits as any missing stream does.
      if (state === 'made') return false
      if (state === 'unknown') {
        state = 'being made'
        void make(create)
      }
      return true
    },
    found() {
      state = 'unknown'
    },
  }
}
