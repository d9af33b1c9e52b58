import { send } from './engine.ts'

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
  readonly followedBy?: 'errorAction' | 'deadLetter'
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

/**
 * Reads `GET /v1/events`. The browser's own EventSource cannot sign, so the stream is read here.
 *
 * @param opened called when the engine has begun to answer
 * @throws like `send` (rejects). Resolves when the engine ends the stream.
 */
export async function readEvents(
  filter: EventFilter & { readonly payloads?: 'true' | undefined },
  signal: AbortSignal,
  receive: (event: EngineEvent) => void,
  opened: () => void,
): Promise<void> {
  const answer = await send({ path: '/v1/events', query: { ...filter }, signal })
  opened()
  if (answer.body === null) return
  let rest = ''
  for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + text).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const { name, data } = /^event: (?<name>\w+)\ndata: (?<data>.*)$/.exec(block)?.groups ?? {}
      if (name !== undefined && data !== undefined) {
        receive({ name, data: JSON.parse(data) as unknown } as EngineEvent)
      }
    }
  }
}
