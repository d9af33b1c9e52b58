/** A message as SQL reads it. */
import type { CallExternal } from './external-request.ts'
import { readJson } from '../values/json-reader.ts'
import { isArray, isObject } from '../values/values.ts'
import type { Value } from '../values/values.ts'

/** The parts of a message that SQL can read. Every `Message` is one. */
export interface SqlMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly clientId?: string | undefined
  readonly principal?: string | undefined
  readonly sourceIp?: string | undefined
  readonly traceId?: string | undefined
  readonly timestampMs: number
  readonly mqtt5?:
    | {
        readonly contentType?: string
        readonly payloadFormatIndicator?: 0 | 1
        readonly responseTopic?: string
        readonly correlationData?: Buffer
        readonly userProperties?: readonly (readonly [string, string])[]
      }
    | undefined
}

/** The parts of the engine that SQL can use. */
export interface SqlEnvironment {
  /** `accountid()`: twelve digits; Undefined while the account is not known. */
  readonly accountId: string | undefined
  /** `newuuid()`: a random UUID (RFC 4122) in lower case. */
  readonly newUuid: () => string
  /** `rand()`: a double in [0, 1). `Math.random` by default. */
  readonly random?: () => number
  /** Calls the external functions. Without it each call fails. */
  readonly callExternal?: CallExternal
}

/** One message, for all rules. Its payload is parsed at most once, on first use. */
export interface MessageDocument {
  readonly message: SqlMessage
  readonly environment: SqlEnvironment
  /** The object or array in the payload; Undefined when the payload is binary. */
  payload(): Value
  /** How often an expression read a payload that is not JSON. */
  failedReads: number
  /** The levels of the topic, split once. */
  topicLevels(): readonly string[]
}

const decoder = new TextDecoder('utf-8', { fatal: true })
const openings: ReadonlySet<number | undefined> = new Set([0x7b, 0x5b])
const blanks: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0a, 0x0d])

/** @param message its payload must not change while the document is in use */
export function createDocument(message: SqlMessage, environment: SqlEnvironment): MessageDocument {
  let payload: Value
  let isRead = false
  let levels: readonly string[] | undefined
  return {
    message,
    environment,
    failedReads: 0,
    payload() {
      if (!isRead) {
        payload = readPayload(message.payload)
        isRead = true
      }
      return payload
    },
    topicLevels() {
      levels ??= message.topic.split('/')
      return levels
    },
  }
}

/**
 * A payload is JSON when it is one object or array in valid UTF-8, with or without byte order mark.
 * A lone scalar such as `80` is binary (the guide's page on WHERE).
 */
function readPayload(bytes: Buffer): Value {
  if (!mayBeJson(bytes)) return undefined
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return undefined // not UTF-8
  }
  const value = readJson(text)
  return isObject(value) || isArray(value) ? value : undefined
}

/** Looks only at the first significant byte, so that binary payloads are not decoded. */
function mayBeJson(bytes: Buffer): boolean {
  let at = startsWithByteOrderMark(bytes) ? 3 : 0
  while (blanks.has(bytes[at])) at++
  return openings.has(bytes[at])
}

function startsWithByteOrderMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}
