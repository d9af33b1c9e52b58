import type { HttpPoster } from '../../aws/http/http-poster.ts'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { createKeyedQueue } from '../../base/keyed-queue.ts'

/** What an endpoint is asked to confirm. */
export interface ConfirmationRequest {
  readonly uuid: string
  readonly arn: string
  readonly confirmationUrl: string
  readonly confirmationToken: string
  /** A GET of it confirms the destination. */
  readonly enableUrl: string
}

/** Asks endpoints to confirm that they want the records of rules. */
export interface ConfirmationRequests {
  /** Asks, in the background, in place of an earlier request for the same destination. */
  ask(request: ConfirmationRequest): void
  /** Asks no more for this destination. */
  cancel(uuid: string): void
  /** Ends all requests. Resolves when none is under way. */
  close(): Promise<void>
}

interface ConfirmationRequestsDependencies {
  readonly poster: Pick<HttpPoster, 'post'>
  readonly clock: Clock
  /**
   * Told how each request went.
   *
   * @param problem why the endpoint did not take it; undefined when it did
   */
  readonly onAnswered: (
    request: ConfirmationRequest,
    problem: string | undefined,
  ) => Promise<void> | void
}

/** Between the tries of one request. After the last one an update of the destination asks anew. */
const delaysMs = [0, 10_000, 60_000, 600_000, 3_600_000]

export function createConfirmationRequests({
  poster,
  clock,
  onAnswered,
}: ConfirmationRequestsDependencies): ConfirmationRequests {
  const ending = new AbortController()
  /** By destination: how to end its request. */
  const asking = new Map<string, AbortController>()
  // One endpoint is asked for one destination at a time.
  const queue = createKeyedQueue()

  async function ask(request: ConfirmationRequest, signal: AbortSignal): Promise<void> {
    for (const delayMs of delaysMs) {
      if (delayMs > 0) await clock.sleep(delayMs, signal)
      if (signal.aborted) return
      const { origin } = new URL(request.confirmationUrl)
      const problem = await queue.run(origin, () => problemOf(request, signal))
      if (signal.aborted) return
      await onAnswered(request, problem)
      if (problem === undefined) return
    }
  }

  async function problemOf(
    request: ConfirmationRequest,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      const { status, reason } = await poster.post({ ...httpRequestOf(request), signal })
      if (status >= 200 && status < 300) return undefined
      return `the endpoint answered ${[status, reason].filter(Boolean).join(' ')}`
    } catch (thrown) {
      return messageOf(thrown)
    }
  }

  function cancel(uuid: string): void {
    asking.get(uuid)?.abort()
    asking.delete(uuid)
  }

  return {
    ask(request) {
      if (ending.signal.aborted) return
      cancel(request.uuid)
      const own = new AbortController()
      asking.set(request.uuid, own)
      void ask(request, own.signal).finally(() => {
        if (asking.get(request.uuid) === own) asking.delete(request.uuid)
      })
    },
    cancel,
    async close() {
      ending.abort()
      for (const uuid of asking.keys()) cancel(uuid)
      await queue.idle()
    },
  }
}

/** AWS IoT developer guide, "Managing HTTP topic rule destinations". */
function httpRequestOf({
  arn,
  confirmationToken,
  enableUrl,
  confirmationUrl,
}: ConfirmationRequest) {
  return {
    url: urlWith(confirmationUrl, confirmationToken),
    headers: [
      ['content-type', 'application/json'],
      ['x-amz-rules-engine-message-type', 'DestinationConfirmation'],
      ['x-amz-rules-engine-destination-arn', arn],
    ] as const,
    body: Buffer.from(
      JSON.stringify({
        arn,
        confirmationToken,
        enableUrl,
        messageType: 'DestinationConfirmation',
      }),
    ),
  }
}

/** `{confirmationUrl}/?confirmationToken=<token>`, also where the URL has a query of its own. */
function urlWith(confirmationUrl: string, token: string): string {
  const url = new URL(confirmationUrl)
  if (url.search === '' && !url.pathname.endsWith('/')) url.pathname += '/'
  url.searchParams.set('confirmationToken', token)
  return url.href
}
