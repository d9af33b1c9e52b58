import { isUtf8 } from 'node:buffer'
import type { MessageRedaction } from '../../redaction/redaction.ts'

/**
 * One call of an AWS service for one record. The outbox stores it as JSON beside the data of the
 * record, which is the output of the rule; `parametersOf` puts the two together.
 */
export interface ServiceCall {
  /** The operation that AWS IoT calls: `SendMessage`. */
  readonly operation: string
  /** All parameters but the one that `body` names. */
  readonly parameters: CallParameters
  /** How the output of the rule becomes a parameter. Absent: the call does not contain it. */
  readonly body?: CallBody | undefined
  /** Only records with the same key may be sent as one batch. Absent: this one is sent alone. */
  readonly batchKey?: string | undefined
}

/** Parameters as JSON, by the names of the service's API. */
type CallParameters = { readonly [name: string]: CallValue }

export type CallValue =
  string | number | boolean | readonly CallValue[] | { readonly [name: string]: CallValue }

interface CallBody {
  /** Where the output goes: `MessageBody`, or `Record.Data` for a member of a member. */
  readonly member: string
  readonly as: 'bytes' | 'text' | 'base64'
  /** Appended to the output, e.g. the separator of Firehose. */
  readonly suffix?: string | undefined
}

/** Parameters with the output of the rule in its place. */
export type CompleteParameters = { readonly [name: string]: CompleteValue }

type CompleteValue =
  | string
  | number
  | boolean
  | Buffer
  | readonly CompleteValue[]
  | { readonly [name: string]: CompleteValue }

/** The JSON that the outbox stores. */
export function encodeServiceCall(call: ServiceCall): string {
  return JSON.stringify(call)
}

/** Reads what `encodeServiceCall` wrote. */
export function decodeServiceCall(text: string): ServiceCall {
  return JSON.parse(text) as ServiceCall
}

/**
 * The complete parameters of a call.
 *
 * @param data the output of the rule
 */
export function parametersOf({ parameters, body }: ServiceCall, data: Buffer): CompleteParameters {
  if (body === undefined) return parameters
  return withMember(parameters, body.member.split('.'), bodyValue(body, data))
}

function bodyValue({ as, suffix }: CallBody, data: Buffer): string | Buffer {
  const whole = suffix === undefined ? data : Buffer.concat([data, Buffer.from(suffix)])
  if (as === 'bytes') return whole
  return whole.toString(as === 'text' ? 'utf8' : 'base64')
}

function withMember(
  object: CompleteParameters,
  [name = '', ...path]: readonly string[],
  value: CompleteValue,
): CompleteParameters {
  if (path.length === 0) return { ...object, [name]: value }
  const member = object[name]
  const inner = typeof member === 'object' && !Array.isArray(member) ? member : {}
  return { ...object, [name]: withMember(inner as CompleteParameters, path, value) }
}

/** A call as people see it. Bytes that are not UTF-8 stand as `{"base64": "..."}`. */
export interface ShownCall {
  readonly operation: string
  readonly parameters: CallParameters
}

/**
 * @param call what the outbox stores beside the data
 * @param data the output of the rule
 * @param redaction of the message that the call comes from; absent: everything is shown
 */
export function shownCall(call: string, data: Buffer, redaction?: MessageRedaction): ShownCall {
  const decoded = decodeServiceCall(call)
  const { operation, body } = decoded
  if (redaction === undefined) {
    return { operation, parameters: shownValue(parametersOf(decoded, data)) as CallParameters }
  }
  const parameters = redaction.value(decoded.parameters) as CallParameters
  if (body === undefined) return { operation, parameters }
  const output = redaction.bytes(data)
  const shown = output
    ? shownValue(bodyValue(body, output))
    : `[${data.length} bytes that are not JSON]`
  const path = body.member.split('.')
  return { operation, parameters: withMember(parameters, path, shown) as CallParameters }
}

function shownValue(value: CompleteValue): CallValue {
  if (Buffer.isBuffer(value)) {
    return isUtf8(value) ? value.toString() : { base64: value.toString('base64') }
  }
  if (typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(shownValue)
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, shownValue(member)]),
  )
}
