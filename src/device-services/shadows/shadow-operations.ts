import type { Clock } from '../../base/clock.ts'
import { numberFromInteger } from '../../sql/values/numbers.ts'
import { isObject } from '../../sql/values/values.ts'
import type { SqlObject, Value } from '../../sql/values/values.ts'
import type { ShadowRequestTopic } from '../../topics/reserved-request.ts'
import { deltaOf, metadataOf, sections, updatedDocument } from './shadow-document.ts'
import type { ShadowDocument } from './shadow-document.ts'
import { noShadow, shadowErrors } from './shadow-error.ts'
import type { ShadowError } from './shadow-error.ts'
import type { RefusedRequest, ShadowUpdate } from './shadow-request.ts'
import { jsonOf, objectOf } from './shadow-row.ts'
import type { StoredShadow } from './shadow-row.ts'

/** Bytes of `state` without blanks; metadata does not count [AWS IoT Core quotas]. */
const documentBytesMax = 8 * 1_024

/** What an operation did. */
export interface ShadowOutcome {
  /** Undefined for an error. */
  readonly accepted: SqlObject | undefined
  readonly error?: ShadowError | undefined
  readonly clientToken: string | undefined
  /** By the last levels of their topics. */
  readonly told: readonly (readonly [suffix: string, document: SqlObject])[]
  /** What is to be stored. */
  readonly change?: StoredShadow | undefined
}

type Target = Pick<ShadowRequestTopic, 'thingName' | 'shadowName'>

/** What an operation sees of the store. */
interface Seen {
  readonly stored: StoredShadow | undefined
  /** There is no such shadow, and there are as many as may be. */
  readonly isFull: boolean
}

/** The operations on shadows, whoever asks for them. They decide and store nothing. */
export function createShadowOperations({ clock }: { readonly clock: Clock }) {
  function remove(
    { stored }: Seen,
    { thingName, shadowName }: Target,
    { clientToken }: Token,
  ): ShadowOutcome {
    const document = stored?.document
    if (!document) return refused({ clientToken, error: noShadow(thingName, shadowName) })
    const { version } = document
    const deletedMs = clock.wallMs()
    const accepted = objectOf({
      version: numberFromInteger(version),
      timestamp: secondsOf(deletedMs),
    })
    const change = { document: undefined, version, deletedMs }
    return { accepted, clientToken, told: [], change }
  }

  function update(
    { stored, isFull }: Seen,
    { clientToken, state, version: expected }: ShadowUpdate,
  ): ShadowOutcome {
    const before = stored?.document
    if (expected !== undefined && expected !== (before?.version ?? 0)) {
      return refused({ clientToken, error: shadowErrors.conflict })
    }
    if (isFull) return refused({ clientToken, error: shadowErrors.tooMany })
    const lastVersion = stored?.document?.version ?? versionOfDeleted(stored)
    const timestampS = Math.floor(clock.wallMs() / 1_000)
    const document = updatedDocument(before, state, { version: lastVersion + 1, timestampS })
    if (Buffer.byteLength(jsonOf(document.state)) > documentBytesMax) {
      return refused({ clientToken, error: shadowErrors.tooLarge })
    }
    const told: ShadowOutcome['told'][number][] = []
    const delta = deltaOf(document)
    const { version } = document
    if (delta !== undefined) told.push(['update/delta', deltaMessage(document, delta)])
    told.push(['update/documents', documentsMessage(before, document)])
    const accepted = objectOf({
      state,
      metadata: acceptedMetadata(state, timestampS),
      version: numberFromInteger(version),
      timestamp: numberFromInteger(timestampS),
    })
    return { accepted, clientToken, told, change: { document } }
  }

  return { get, remove, update }
}

function get(
  { stored }: Seen,
  { thingName, shadowName }: Target,
  { clientToken }: Token,
): ShadowOutcome {
  const document = stored?.document
  if (!document) return refused({ clientToken, error: noShadow(thingName, shadowName) })
  return { accepted: wholeDocument(document), clientToken, told: [] }
}

type Token = Pick<ShadowUpdate, 'clientToken'>

export const refused = ({ clientToken, error }: RefusedRequest): ShadowOutcome => ({
  accepted: undefined,
  error,
  clientToken,
  told: [],
})

function versionOfDeleted(stored: StoredShadow | undefined): number {
  return stored !== undefined && stored.document === undefined ? stored.version : 0
}

export function wholeDocument(document: ShadowDocument): SqlObject {
  const state = new Map(document.state)
  const delta = deltaOf(document)
  if (delta !== undefined) state.set('delta', delta.state)
  return objectOf({
    state,
    metadata: document.metadata,
    version: numberFromInteger(document.version),
    timestamp: numberFromInteger(document.timestampS),
  })
}

function deltaMessage(
  { version, timestampS }: ShadowDocument,
  { state, metadata }: { readonly state: SqlObject; readonly metadata: SqlObject },
): SqlObject {
  return objectOf({
    version: numberFromInteger(version),
    timestamp: numberFromInteger(timestampS),
    state,
    metadata,
  })
}

function documentsMessage(before: ShadowDocument | undefined, now: ShadowDocument): SqlObject {
  return objectOf({
    previous: versionedOf(before ?? noDocument),
    current: versionedOf(now),
    timestamp: numberFromInteger(now.timestampS),
  })
}

/** What `documents` calls the one before the first update. */
const noDocument: Pick<ShadowDocument, 'state' | 'metadata' | 'version'> = {
  state: new Map(),
  metadata: new Map(),
  version: 0,
}

const versionedOf = ({
  state,
  metadata,
  version,
}: Pick<ShadowDocument, 'state' | 'metadata' | 'version'>): SqlObject =>
  objectOf({ state, metadata, version: numberFromInteger(version) })

/** The times of the values that the request wrote. */
function acceptedMetadata(state: SqlObject | null, timestampS: number): SqlObject {
  const metadata = new Map<string, Value>()
  for (const section of state === null ? [] : sections) {
    const value = state?.get(section)
    if (isObject(value)) metadata.set(section, metadataOf(value, timestampS))
  }
  return metadata
}

const secondsOf = (ms: number) => numberFromInteger(Math.floor(ms / 1_000))
