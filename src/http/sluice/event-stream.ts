import type { ServerResponse } from 'node:http'
import type { Clock } from '../../base/clock.ts'

/**
 * Server-sent events (WHATWG HTML, "Server-sent events") on one response. A reader that is slower
 * than the events misses some; it never makes the engine wait or hold more than `unreadBytesMax`.
 */
interface EventStream {
  /** @returns false when the reader has not read what was sent before: this event is left out */
  send(name: string, data: unknown): boolean
  /** Resolves when the reader has gone, or the server has ended the stream. */
  readonly ended: Promise<void>
}

/** A comment keeps proxies from ending a connection on which nothing happens. */
const commentEveryMs = 15_000
const unreadBytesMax = 1_048_576

export function openEventStream(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  { clock }: { readonly clock: Clock },
): EventStream {
  response.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // nginx keeps answers back otherwise.
    'x-accel-buffering': 'no',
  })
  // Headers alone may stay in a buffer until the first event.
  response.write(': the stream begins\n\n')
  let cancel: (() => void) | undefined
  const comment = () => {
    if (response.writableLength < unreadBytesMax) response.write(': still here\n\n')
    cancel = clock.after(commentEveryMs, comment)
  }
  cancel = clock.after(commentEveryMs, comment)
  const ended = new Promise<void>((resolve) => {
    response.once('close', () => {
      cancel?.()
      resolve()
    })
  })
  return {
    send(name, data) {
      if (response.destroyed || response.writableLength > unreadBytesMax) return false
      response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
      return true
    },
    ended,
  }
}
