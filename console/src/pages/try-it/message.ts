import type { MessageRequest } from '../../api/evaluate.ts'
import type { LiveMessage } from '../../api/live-messages.ts'
import { base64Of, fromBase64, fromHex, hexOf, utf8Of } from './bytes.ts'

export const payloadForms = ['JSON', 'Text', 'Base64', 'Hex'] as const
export type PayloadForm = (typeof payloadForms)[number]

/** A message as it is typed. */
export interface TypedMessage {
  readonly topic: string
  readonly form: PayloadForm
  readonly payload: string
  readonly clientId: string
  readonly qos: 0 | 1 | 2
  readonly contentType: string
  readonly userProperties: readonly (readonly [string, string])[]
  /** Of a message that came: when, in epoch milliseconds, and its id. */
  readonly came?: { readonly at: number; readonly messageId: string } | undefined
}

export const firstMessage: TypedMessage = {
  topic: 'dt/7/telemetry',
  form: 'JSON',
  payload: '{\n  "temp": 61.5\n}',
  clientId: '',
  qos: 0,
  contentType: '',
  userProperties: [],
}

/** The bytes of a payload, or why its text has none. */
export type PayloadBytes =
  | { readonly bytes: Uint8Array; readonly problem?: undefined }
  | { readonly bytes?: undefined; readonly problem: string }

export function bytesOf({ form, payload }: Pick<TypedMessage, 'form' | 'payload'>): PayloadBytes {
  // Blanks around JSON are no part of it: a test file could not hold them.
  const text = form === 'JSON' ? payload.trim() : payload
  if (form === 'JSON' || form === 'Text') return { bytes: new TextEncoder().encode(text) }
  if (form === 'Hex') {
    const bytes = fromHex(payload)
    return bytes ? { bytes } : { problem: 'Write pairs of the digits 0 to 9 and a to f.' }
  }
  try {
    return { bytes: fromBase64(payload) }
  } catch {
    return { problem: 'This is no base64.' }
  }
}

/** Why a text is no JSON, with the line and the column; undefined for JSON. */
export function jsonProblem(text: string): string | undefined {
  try {
    JSON.parse(text)
    return undefined
  } catch (thrown) {
    const { message } = thrown as Error
    const position = /position (\d+)/.exec(message)?.[1]
    if (position === undefined) return `No JSON: ${message}.`
    const before = text.slice(0, Number(position)).split('\n')
    const [reason = message] = message.split(' in JSON at position')
    const column = (before.at(-1) ?? '').length + 1
    return `No JSON: ${reason} in line ${before.length}, column ${column}. Rules see it as bytes.`
  }
}

/** The same bytes in another form. Bytes that are no text stay as they are. */
export function inForm(message: TypedMessage, form: PayloadForm): TypedMessage {
  const { bytes } = bytesOf(message)
  if (bytes === undefined) return { ...message, form }
  const isText = form === 'JSON' || form === 'Text'
  const wasText = message.form === 'JSON' || message.form === 'Text'
  if (isText && wasText) return { ...message, form }
  const text = isText ? utf8Of(bytes) : form === 'Hex' ? hexOf(bytes) : base64Of(bytes)
  return text === undefined ? message : { ...message, form, payload: text }
}

/** The message as the engine takes it; undefined when the payload has no bytes. */
export function requestOf(message: TypedMessage): MessageRequest | undefined {
  const { topic, clientId, qos, contentType, userProperties, came } = message
  const { bytes } = bytesOf(message)
  if (bytes === undefined) return undefined
  const named = userProperties.filter(([name]) => name !== '')
  const mqtt5 = {
    ...(contentType !== '' && { contentType }),
    ...(named.length > 0 && { userProperties: named }),
  }
  return {
    topic,
    payloadBase64: base64Of(bytes),
    ...(clientId !== '' && { clientId }),
    ...(qos !== 0 && { qos }),
    ...(came && { timestamp: came.at, traceId: came.messageId }),
    ...(Object.keys(mqtt5).length > 0 && { mqtt5 }),
  }
}

/** A message of live traffic, to be tried. Its properties of MQTT 5 are not told. */
export function typedFrom(live: LiveMessage): TypedMessage {
  const { topic, clientId = '', qos, messageId, at } = live
  const came = { at: Date.parse(at), messageId }
  const shared = {
    ...firstMessage,
    topic,
    clientId,
    qos: qos === 1 || qos === 2 ? qos : 0,
    came,
  } as const
  if (live.payload === undefined) {
    return inForm({ ...shared, form: 'Base64', payload: live.payloadBase64 ?? '' }, 'Hex')
  }
  const isJson = live.payload === live.payload.trim() && jsonProblem(live.payload) === undefined
  return { ...shared, form: isJson ? 'JSON' : 'Text', payload: live.payload }
}

/** A live message as the engine takes it, without a way round by its text. */
export function requestOfLive(live: LiveMessage): MessageRequest {
  const { topic, clientId, qos, at, messageId, payload, payloadBase64 } = live
  return {
    topic,
    payloadBase64: payloadBase64 ?? base64Of(new TextEncoder().encode(payload)),
    ...(clientId !== undefined && { clientId }),
    ...((qos === 1 || qos === 2) && { qos }),
    timestamp: Date.parse(at),
    traceId: messageId,
  }
}
