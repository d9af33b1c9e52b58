import type {
  DeliveredEvent,
  DurableEvent,
  FailedEvent,
  MessageEvent,
  WatchedRule,
} from '../../watch/watch-event.ts'
import type { ShownPayload } from '../../watch/shown-payload.ts'
import { paint } from '../terminal/host.ts'
import type { Host, Output } from '../terminal/host.ts'
import { dataText, onOneLine } from '../terminal/record-line.ts'
import { findEngineApi } from './engine-api.ts'
import type { EngineOptions } from './engine-api.ts'

export interface WatchOptions extends EngineOptions {
  readonly topic?: string | undefined
  readonly client?: string | undefined
  readonly rule?: string | undefined
  readonly payloads: boolean
  readonly json: boolean
}

const thenOf = {
  deadLetter: 'it is a dead letter',
  errorAction: 'its error action has it',
  nothing: 'it is dropped',
} as const

/**
 * Prints what becomes of messages until a signal comes or the engine stops.
 *
 * @throws SluiceError (rejects): see `EngineApi`
 */
export async function watchMessages(host: Host, options: WatchOptions): Promise<void> {
  const { topic, client, rule, json } = options
  const payloads = options.payloads ? 'true' : undefined
  const engine = await findEngineApi(host, options)
  const stop = new AbortController()
  void host.stopRequested().then(() => stop.abort())
  const out = { ...host.stdout, isTTY: host.stdout.isTTY === true && !host.environment['NO_COLOR'] }
  host.stderr.write(`messages of ${engine.url}, Ctrl-C ends\n`)
  const request = { path: '/v1/events', query: { topic, client, rule, payloads } }
  for await (const { name, data } of engine.events(request, stop.signal)) {
    host.stdout.write(
      json ? `${JSON.stringify({ event: name, ...(data as object) })}\n` : textOf(out, name, data),
    )
  }
  if (!stop.signal.aborted) host.stderr.write(`${engine.url} has ended\n`)
}

/** Lines for a person; what belongs to a message begins with the end of its id. */
function textOf(out: Output, name: string, data: unknown): string {
  switch (name) {
    case 'message': {
      return messageText(out, data as MessageEvent & ShownPayload)
    }
    case 'durable': {
      const { messageId, latencyMs } = data as DurableEvent
      return line(out, messageId, `on disk ${paint(out, 'dim', `+${latencyMs} ms`)}`)
    }
    case 'delivered': {
      return deliveredText(out, data as DeliveredEvent)
    }
    case 'failed': {
      const { messageId, ruleName, destination, kind, reason, followedBy } = data as FailedEvent
      const what = `${ruleName} -> ${kind} ${destination} failed: ${reason}; ${thenOf[followedBy]}`
      return line(out, messageId, paint(out, 'red', onOneLine(what)))
    }
    case 'leftOut': {
      const { count } = data as { readonly count: number }
      return paint(out, 'yellow', `${count} messages were left out\n`)
    }
    default: {
      return ''
    }
  }
}

function messageText(out: Output, event: MessageEvent & ShownPayload): string {
  const { messageId, at, topic, clientId, qos, bytes, rules, furtherRules } = event
  const sender = topic.startsWith('$') ? 'from the engine' : 'over HTTP'
  const from = clientId === undefined ? sender : `from ${clientId}`
  const head = `${at.slice(11, 23)} ${paint(out, 'bold', onOneLine(topic))} ${onOneLine(from)}, QoS ${qos}, ${bytes} bytes`
  const none = rules.length === 0 ? [paint(out, 'dim', 'no rule has a filter for this topic')] : []
  const more = furtherRules === undefined ? [] : [`and ${furtherRules} further rules`]
  return [
    head,
    ...payloadLines(out, event),
    ...none,
    ...rules.flatMap((rule) => ruleLines(out, rule)),
    ...more,
  ]
    .map((text) => line(out, messageId, text))
    .join('')
}

function payloadLines(out: Output, event: ShownPayload): readonly string[] {
  const { payload, payloadBase64, payloadLeftOut } = event
  if (payload !== undefined) return [`payload ${onOneLine(payload)}`]
  if (payloadBase64 !== undefined)
    return [`payload ${dataText(Buffer.from(payloadBase64, 'base64'))}`]
  return payloadLeftOut === undefined ? [] : [paint(out, 'dim', whyLeftOut[payloadLeftOut])]
}

const whyLeftOut = {
  long: 'the payload is longer than what is shown',
  notJson: 'the payload is not shown: it is not JSON, and SLUICE_REDACT names members',
  budget: 'the payload is left out: more than 1 MiB of payloads came in this second',
} as const satisfies Record<NonNullable<ShownPayload['payloadLeftOut']>, string>

function ruleLines(
  out: Output,
  { ruleName, matched, because, actions }: WatchedRule,
): readonly string[] {
  if (!matched && actions.length === 0) {
    const why = because === undefined ? '' : `: ${onOneLine(because)}`
    return [paint(out, 'dim', `${ruleName} does not match${why}`)]
  }
  return [
    ...(matched ? [] : [paint(out, 'red', `${ruleName} failed: ${onOneLine(because ?? '')}`)]),
    ...actions.map(({ kind, actionIndex, state, reason, partitionKey }) => {
      const action = actionIndex < 0 ? `${kind} (error action)` : kind
      const key = partitionKey === undefined ? '' : `, key ${onOneLine(partitionKey)}`
      const text = `${ruleName} -> ${action} ${state}${key}${reason === undefined ? '' : `: ${onOneLine(reason)}`}`
      return paint(out, state === 'failed' ? 'red' : 'green', text)
    }),
  ]
}

function deliveredText(out: Output, event: DeliveredEvent): string {
  const { messageId, ruleName, kind, destination, shardId, sequenceNumber, latencyMs } = event
  const shard = shardId === undefined ? '' : ` ${shardId.replace(/^shardId-0*(?=\d)/, 'shard ')}`
  const number = sequenceNumber === undefined ? '' : ` ${sequenceNumber}`
  const where = onOneLine(`${kind} ${destination}`)
  const text = `${ruleName} -> ${where}${shard} delivered ${paint(out, 'dim', `+${latencyMs} ms${number}`)}`
  return line(out, messageId, text)
}

const idCharacters = 6

function line(out: Output, messageId: string, text: string): string {
  return `${paint(out, 'dim', onOneLine(messageId.slice(-idCharacters)))} ${text}\n`
}
