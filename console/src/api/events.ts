import { ApiError, send, UnreachableError } from './engine.ts'

export interface WatchedAction {
  readonly kind: string
  readonly actionIndex: number
  readonly partitionKey?: string
  readonly state: 'queued' | 'republished' | 'failed'
  readonly reason?: string
}

export interface WatchedRule {
  readonly ruleName: string
  readonly matched: boolean
  readonly because?: string
  readonly actions: readonly WatchedAction[]
}

export interface MessageEvent {
  readonly messageId: string
  readonly at: string
  readonly topic: string
  readonly clientId?: string
  readonly qos: number
  readonly bytes: number
  /** When it was asked for: what is UTF-8, else the bytes. */
  readonly payload?: string
  readonly payloadBase64?: string
  /** Why it is not there, though it was asked for. */
  readonly payloadLeftOut?: 'long' | 'budget' | 'redacted'
  readonly rules: readonly WatchedRule[]
  readonly furtherRules?: number
}

export interface RecordEvent {
  readonly messageId: string
  readonly latencyMs: number
  readonly ruleName: string
  readonly actionIndex: number
  readonly kind: string
  readonly destination: string
  readonly shardId?: string
  readonly sequenceNumber?: string
  readonly callRecords?: number
  readonly reason?: string
  readonly followedBy?: 'errorAction' | 'deadLetter' | 'nothing'
}

export type EngineEvent =
  | { readonly name: 'message'; readonly data: MessageEvent }
  | { readonly name: 'durable'; readonly data: Pick<RecordEvent, 'messageId' | 'latencyMs'> }
  | { readonly name: 'delivered' | 'failed'; readonly data: RecordEvent }
  | { readonly name: 'leftOut'; readonly data: { readonly count: number } }

export interface EventFilter {
  readonly topic?: string | undefined
  readonly client?: string | undefined
  readonly rule?: string | undefined
}

/** Something keeps events back on their way. */
export class HeldEventsError extends Error {
  override readonly name = 'HeldEventsError'

  constructor() {
    super(
      'The engine answers, but its events do not come through: a proxy on the way keeps them back. ' +
        'It must not buffer the answers of /v1/events (nginx: proxy_buffering off). It is tried again.',
    )
  }
}

/** The engine sends a comment at once, and one every 15 seconds. */
const firstMs = 10_000
const silentMs = 40_000

/**
 * Reads `GET /v1/events`. The browser's own EventSource cannot sign, so the stream is read here.
 *
 * @param opened called when the first of the stream has come
 * @throws like `send`; HeldEventsError (rejects): nothing comes through. Resolves when the engine
 *   ends the stream.
 */
export async function readEvents(
  filter: EventFilter & { readonly payloads?: 'true' | undefined },
  signal: AbortSignal,
  receive: (event: EngineEvent) => void,
  opened: () => void,
): Promise<void> {
  const ending = new AbortController()
  const end = () => ending.abort()
  signal.addEventListener('abort', end)
  let isSilent = false
  const silent = () => {
    isSilent = true
    end()
  }
  let timer = setTimeout(silent, firstMs)
  try {
    const query = { ...filter }
    const answer = await send({ path: '/v1/events', query, signal: ending.signal })
    if (answer.body === null) return
    let rest: string | undefined
    for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
      clearTimeout(timer)
      timer = setTimeout(silent, silentMs)
      if (rest === undefined) opened()
      const blocks = `${rest ?? ''}${text}`.split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) readBlock(block, receive)
    }
  } catch (thrown) {
    if (signal.aborted || thrown instanceof ApiError) throw thrown
    if (isSilent) throw new HeldEventsError()
    throw new UnreachableError('The stream of events has ended.')
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
  }
}

function readBlock(block: string, receive: (event: EngineEvent) => void): void {
  const { name, data } = /^event: (?<name>\w+)\ndata: (?<data>.*)$/.exec(block)?.groups ?? {}
  if (name === undefined || data === undefined) return
  receive({ name, data: JSON.parse(data) as unknown } as EngineEvent)
}
