import { isUtf8 } from 'node:buffer'
import { readJson } from '../../sql/values/json-reader.ts'
import { exactDouble } from '../../sql/values/numbers.ts'
import { isArray, isNumber, isObject } from '../../sql/values/values.ts'
import type { SqlObject, Value } from '../../sql/values/values.ts'
import { sections } from './shadow-document.ts'
import { shadowDepthMax, shadowErrors } from './shadow-error.ts'
import type { ShadowError } from './shadow-error.ts'

/** What a device or a caller of the API asks of a shadow. */
interface ShadowRequest {
  /** Comes back in every answer. */
  readonly clientToken: string | undefined
}

export interface ShadowUpdate extends ShadowRequest {
  /** Null empties the document. */
  readonly state: SqlObject | null
  /** The version that the document must have. */
  readonly version: number | undefined
}

/** A refusal, with the token of the request where it can be read. */
export interface RefusedRequest extends ShadowRequest {
  readonly error: ShadowError
}

/** UTF-8 bytes of a token. */
const clientTokenBytesMax = 64
/** Members of a request around `desired` and `reported`: the document itself, and `state`. */
const outerDepth = 2

/** Reads the payload of `get` and `delete`, which may be empty. */
export function readShadowRequest(payload: Buffer): ShadowRequest | RefusedRequest {
  if (payload.length === 0) return { clientToken: undefined }
  const read = readPayload(payload)
  return 'error' in read ? read : { clientToken: read.clientToken }
}

/** Reads the payload of `update`. */
export function readShadowUpdate(payload: Buffer): ShadowUpdate | RefusedRequest {
  const read = readPayload(payload)
  if ('error' in read) return read
  const { document, clientToken } = read
  const state = document.get('state')
  const error = faultOfState(document, state) ?? faultOfVersion(document.get('version'))
  if (error !== undefined) return { clientToken, error }
  const version = document.get('version')
  return {
    clientToken,
    state: isObject(state) ? state : null,
    version: isNumber(version) ? exactDouble(version) : undefined,
  }
}

function readPayload(
  payload: Buffer,
): { readonly document: SqlObject; readonly clientToken: string | undefined } | RefusedRequest {
  if (!isUtf8(payload)) return { clientToken: undefined, error: shadowErrors.notUtf8 }
  const document = readJson(payload.toString())
  if (!isObject(document)) return { clientToken: undefined, error: shadowErrors.notJson }
  const clientToken = document.get('clientToken')
  if (clientToken === undefined) return { document, clientToken: undefined }
  if (typeof clientToken === 'string' && Buffer.byteLength(clientToken) <= clientTokenBytesMax) {
    return { document, clientToken }
  }
  return { clientToken: undefined, error: shadowErrors.clientToken }
}

function faultOfState(document: SqlObject, state: Value): ShadowError | undefined {
  if (isTooDeep(document, shadowDepthMax + outerDepth)) return shadowErrors.tooDeep
  if (state === undefined) return shadowErrors.noState
  if (state === null) return undefined
  if (!isObject(state)) return shadowErrors.stateNoObject
  for (const section of sections) {
    const value = state.get(section)
    if (value === undefined || value === null || isObject(value)) continue
    return section === 'desired' ? shadowErrors.desiredNoObject : shadowErrors.reportedNoObject
  }
  const isKnown = [...state.keys()].every((name) => sections.some((section) => section === name))
  return isKnown && !hasNullElement(state) ? undefined : shadowErrors.unknownNode
}

function faultOfVersion(version: Value): ShadowError | undefined {
  if (version === undefined || version === null) return undefined
  const isVersion = isNumber(version) && Number.isSafeInteger(exactDouble(version))
  return isVersion && exactDouble(version) >= 0 ? undefined : shadowErrors.version
}

function isTooDeep(value: Value, levels: number): boolean {
  if (!isObject(value) && !isArray(value)) return false
  if (levels === 0) return true
  const members = isObject(value) ? [...value.values()] : value
  return members.some((member) => isTooDeep(member, levels - 1))
}

/** A null removes a member; an array has no place for what is removed. */
function hasNullElement(value: Value): boolean {
  if (isArray(value)) return value.some((element) => element === null || hasNullElement(element))
  return isObject(value) && [...value.values()].some(hasNullElement)
}
