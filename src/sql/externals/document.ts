/** One message as SQL reads it. */
import type { CallExternal } from './external-request.ts'
import { readJson } from '../values/json-reader.ts'
import { isArray, isObject } from '../values/values.ts'
import type { Value } from '../values/values.ts'

/** What SQL can see of a message; a `Message` is one. */
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

/** What SQL can see of the engine. */
export interface SqlEnvironment {
  /** Twelve digits: `accountid()`, which is Undefined while the account is not known. */
  readonly accountId: string | undefined
  /** A random UUID (RFC 4122, lower case): `newuuid()`. */
  readonly newUuid: () => string
  /** A double from 0 up to, and not, 1: `rand()`. Without it `Math.random`. */
  readonly random?: () => number
  /** Carries out the external functions. Without it each call of one fails. */
  readonly callExternal?: CallExternal
}

/** One message, for all rules that look at it. Its payload is read at most once, on first use. */
export interface MessageDocument {
  readonly message: SqlMessage
  readonly environment: SqlEnvironment
  /** The object or array that the payload is; Undefined when the payload is binary. */
  payload(): Value
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
 * A scalar alone, such as `80`, is binary, as the guide's page on WHERE has it.
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

/** Looks at the first byte that counts, so that binary payloads are neither decoded nor read. */
function mayBeJson(bytes: Buffer): boolean {
  let at = startsWithByteOrderMark(bytes) ? 3 : 0
  while (blanks.has(bytes[at])) at++
  return openings.has(bytes[at])
}

function startsWithByteOrderMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}
