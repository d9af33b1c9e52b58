import type { Failure } from '../../aws/call/failure-class.ts'
import { messageOf } from '../../base/errors.ts'
import type { Destination, StreamDestination } from '../../outbox/outbox.ts'
import type { Logger } from '../../telemetry/telemetry.ts'

/** Creates the stream of a destination. */
export type MakeStream = (destination: StreamDestination) => Promise<void>

/** Creates a stream that Kinesis does not know, where the engine was told how: in the lab. */
export interface StreamMaker {
  /** True when the stream is being created because of this failure, which is then not reported. */
  make(failure: Failure): boolean
  /** Records were delivered after a failure: a stream that goes missing later is created again. */
  found(): void
}

interface StreamMakerDependencies {
  readonly destination: Destination
  readonly logger: Logger
  /** Without it no stream is ever created. */
  readonly makeStream?: MakeStream | undefined
}

export function createStreamMaker(
  { destination, logger, makeStream }: StreamMakerDependencies,
  { onMade }: { readonly onMade: () => void },
): StreamMaker {
  let state: 'unknown' | 'being made' | 'made' = 'unknown'

  async function makeOnce(create: MakeStream, stream: StreamDestination): Promise<void> {
    state = 'being made'
    try {
      await create(stream)
      // If records were delivered meanwhile, the stream is there and its state stays unknown.
      if (state === 'being made') state = 'made'
      onMade()
    } catch (thrown) {
      state = 'unknown'
      logger.error(
        { stream: stream.streamName, reason: messageOf(thrown) },
        'stream could not be made',
      )
    }
  }

  return {
    make({ code }: Failure) {
      if (makeStream === undefined || destination.kind !== 'kinesis') return false
      if (code !== 'ResourceNotFoundException') return false
      // A stream that was made and is still not found is waited for, like any missing stream.
      if (state === 'made') return false
      if (state === 'unknown') void makeOnce(makeStream, destination)
      return true
    },
    found() {
      state = 'unknown'
    },
  }
}
