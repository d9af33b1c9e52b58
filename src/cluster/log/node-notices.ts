import type { Clock } from '../../base/clock.ts'
import { closedError } from './publish-batch.ts'
import type { LogNames } from './log-names.ts'
import type { LogRequests } from './log-requests.ts'
import { LogFullError } from './replicated-log.ts'

/** Tells other nodes that this one lives. */
interface NodeNotices {
  announce(node: string, data: Uint8Array | undefined): Promise<void>
}

const answerMsMax = 3_000
const retryMsMin = 100
const retryMsMax = 1_000
/** The notice of a node that was killed goes by itself. */
const noticeLifetime = '24h'

/** Only the last notice counts, so those that wait while one is written are passed over. */
export function createNodeNotices(
  {
    clock,
    requests,
  }: {
    readonly clock: Pick<Clock, 'sleep'>
    readonly requests: Pick<LogRequests, 'publish' | 'waiting'>
  },
  {
    names,
    closing,
    writeId,
  }: {
    readonly names: LogNames
    readonly closing: AbortSignal
    readonly writeId: () => string
  },
): NodeNotices {
  let newest = 0
  const isNewest = (number: number) => number === newest
  let tail: Promise<unknown> = Promise.resolve()

  async function write(node: string, data: Uint8Array | undefined, number: number): Promise<void> {
    const message = {
      subject: names.notice(node),
      data: data ?? new Uint8Array(),
      headers: [
        ['Nats-Rollup', 'sub'],
        ['Nats-TTL', noticeLifetime],
        ...(data === undefined ? ([[goneHeader, '1']] as const) : []),
      ] as const,
    }
    let retryMs = retryMsMin
    while (isNewest(number)) {
      if (closing.aborted) throw closedError()
      const outcome = await requests.publish([message], { id: writeId(), timeoutMs: answerMsMax })
      if (outcome.kind === 'stored') return
      if (outcome.kind === 'full') throw new LogFullError(outcome.text)
      if (outcome.kind === 'unknown') requests.waiting(outcome.text)
      await clock.sleep(retryMs, closing)
      retryMs = Math.min(retryMs * 2, retryMsMax)
    }
  }

  return {
    announce(node, data) {
      const number = ++newest
      const written = tail.then(() => write(node, data, number))
      tail = written.catch(() => undefined)
      return written
    },
  }
}

/** A message with this header says that its node goes. */
export const goneHeader = 'Sluice-Gone'
