import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { UpstreamConfig } from '../config/upstream-config.ts'
import type { TopicLimits } from '../topics/topic-filter.ts'
import type { Credentials } from './credentials.ts'
import type { EndCause } from './end-reason.ts'
import { createIntake, notTakenReason } from './intake.ts'
import type { IntakeDependencies } from './intake.ts'
import { openConnection } from './upstream-connection.ts'
import type { OpenedSession, UpstreamConnection } from './upstream-connection.ts'
import { findUnusable, upstreamMessage } from './upstream-message.ts'
import type { UpstreamReport } from './upstream-report.ts'
import type { UpstreamSubscriptions } from './upstream-subscriptions.ts'

/** The messages of one connection, from CONNECT to its end. */
export interface Reading {
  /** Resolves when the connection has ended, with what ended it. */
  readonly ended: Promise<EndCause>
  /** Whether it stands, and is subscribed. */
  isReading(): boolean
  /** Messages that are not acknowledged yet. */
  unfinished(): number
  /** Waits for unfinished messages, at most so long, and begins the end of the connection. */
  close(drainMs: number): Promise<void>
}

/** Where messages go. */
export interface MessageTakers extends Pick<IntakeDependencies, 'ingest' | 'distribute'> {
  /** Whether a client of that id is connected to this engine. */
  readonly isConnectedHere: (clientId: string) => boolean
  readonly clock: Clock
}

export interface UpstreamOptions {
  readonly config: UpstreamConfig
  readonly limits: TopicLimits & { readonly payloadBytesMax: number }
}

interface ReadingDependencies extends MessageTakers {
  readonly report: UpstreamReport
  readonly subscriptions: UpstreamSubscriptions
}

interface ReadingOptions extends UpstreamOptions {
  readonly clientId: string
  readonly credentials: Credentials
}

export function openReading(dependencies: ReadingDependencies, options: ReadingOptions): Reading {
  const { clock, report, subscriptions } = dependencies
  const { limits, clientId } = options
  let state: 'opening' | 'reading' | 'closing' | 'ended' = 'opening'
  let resolveEnded: (cause: EndCause) => void
  const ended = new Promise<EndCause>((resolve) => (resolveEnded = resolve))
  const { finished, notDistributed } = report
  const failed = (_message: unknown, cause: unknown) => connection.abort(notTakenReason(cause))
  const intake = createIntake({ ...dependencies, finished, notDistributed, failed }, options.config)

  /** Subscribes on the connection, which stands. */
  async function begin(session: OpenedSession): Promise<void> {
    try {
      refuseItself(dependencies, clientId)
      await subscriptions.begin(connection, session)
      if (state !== 'opening') return
      state = 'reading'
      report.reading(session, subscriptions.refused())
    } catch (thrown) {
      // Where the connection has ended, the reason of its end is told.
      connection.abort(messageOf(thrown))
    }
  }

  const connection: UpstreamConnection = openConnection(
    {
      clock,
      connected: (session) => void begin(session),
      message(packet, acknowledge, proceed) {
        // It is not acknowledged, so it comes again.
        if (state === 'closing' || state === 'ended') return proceed()
        const unusable = findUnusable(packet, limits)
        if (unusable === undefined) {
          const message = upstreamMessage(packet, { clientId, clock })
          report.received(message)
          return intake.take(message, acknowledge, proceed)
        }
        report.unusable(packet, unusable)
        return intake.skip(acknowledge, proceed)
      },
      ended(cause) {
        state = 'ended'
        intake.stop()
        subscriptions.ended()
        resolveEnded(cause)
      },
    },
    options,
  )

  return {
    ended,
    isReading: () => state === 'reading',
    unfinished: () => intake.unfinished,
    async close(drainMs) {
      if (state === 'ended') return
      state = 'closing'
      const cancel = clock.after(drainMs, () => connection.close())
      await Promise.race([intake.idle(), ended])
      cancel()
      connection.close()
    },
  }
}

/** A message would come back to where it came from, without end. */
function refuseItself(
  { isConnectedHere }: Pick<MessageTakers, 'isConnectedHere'>,
  clientId: string,
): void {
  if (!isConnectedHere(clientId)) return
  throw new Error(
    'it is this engine itself, or a client here has its client id: name another broker in ' +
      'SLUICE_UPSTREAM_URL, or another SLUICE_UPSTREAM_CLIENT_ID',
  )
}
