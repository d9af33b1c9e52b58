import { compareNumbers } from '../../sql/values/numbers.ts'
import { numberFromInteger } from '../../sql/values/numbers.ts'
import { isArray, isNumber, isObject } from '../../sql/values/values.ts'
import type { SqlObject, Value } from '../../sql/values/values.ts'

/**
 * The document of a shadow, and how updates change it [AWS IoT Developer Guide, "Device Shadow
 * service documents"]. Values keep the order of their members and the text of their numbers.
 */
export interface ShadowDocument {
  /** `desired` and `reported`, where they have members. */
  readonly state: SqlObject
  /** The tree of `state` with `{"timestamp": <s>}` in place of each value. */
  readonly metadata: SqlObject
  /** 1 for the first update. */
  readonly version: number
  /** When it was updated, in epoch seconds. */
  readonly timestampS: number
}

type Section = 'desired' | 'reported'
export const sections: readonly Section[] = ['desired', 'reported']

/** A difference between `desired` and `reported`, with the metadata of its values. */
interface ShadowDelta {
  readonly state: SqlObject
  readonly metadata: SqlObject
}

const empty: SqlObject = new Map()

/**
 * Applies an update: objects are merged at every depth, every other value replaces the one before,
 * and null removes. A section without members is not kept.
 *
 * @param before undefined when there is no shadow
 * @param state of the request; null removes both sections
 * @param version of the new document
 */
export function updatedDocument(
  before: ShadowDocument | undefined,
  state: SqlObject | null,
  { version, timestampS }: Pick<ShadowDocument, 'version' | 'timestampS'>,
): ShadowDocument {
  const newState = new Map<string, Value>()
  const newMetadata = new Map<string, Value>()
  for (const section of state === null ? [] : sections) {
    const patch = state?.get(section)
    const oldState = objectAt(before?.state, section)
    const oldMetadata = objectAt(before?.metadata, section)
    const merged =
      patch === null
        ? { state: empty, metadata: empty }
        : isObject(patch)
          ? merge({ state: oldState, metadata: oldMetadata }, patch, timestampS)
          : { state: oldState, metadata: oldMetadata }
    if (merged.state.size === 0) continue
    newState.set(section, merged.state)
    newMetadata.set(section, merged.metadata)
  }
  return { state: newState, metadata: newMetadata, version, timestampS }
}

/** A part of a document with its metadata, which has the same members. */
interface Part {
  readonly state: SqlObject
  readonly metadata: SqlObject
}

function merge(before: Part, patch: SqlObject, timestampS: number): Part {
  const state = new Map(before.state)
  const metadata = new Map(before.metadata)
  for (const [name, value] of patch) {
    if (value === null) {
      state.delete(name)
      metadata.delete(name)
    } else if (isObject(value)) {
      const old = state.get(name)
      const part = isObject(old)
        ? { state: old, metadata: objectAt(metadata, name) }
        : { state: empty, metadata: empty }
      const merged = merge(part, value, timestampS)
      state.set(name, merged.state)
      metadata.set(name, merged.metadata)
    } else {
      state.set(name, value)
      metadata.set(name, metadataOf(value, timestampS))
    }
  }
  return { state, metadata }
}

/** The metadata of values that were all written at one time: that of an update in its answer. */
export function metadataOf(value: Value, timestampS: number): Value {
  if (isArray(value)) return value.map((element) => metadataOf(element, timestampS))
  if (!isObject(value)) return new Map([['timestamp', numberFromInteger(timestampS)]])
  return new Map([...value].map(([name, member]) => [name, metadataOf(member, timestampS)]))
}

/**
 * What `desired` has and `reported` lacks or has otherwise. What only `reported` has is no
 * difference, and arrays differ as a whole.
 *
 * @returns undefined when there is no difference
 */
export function deltaOf({ state, metadata }: ShadowDocument): ShadowDelta | undefined {
  const delta = difference(
    { state: objectAt(state, 'desired'), metadata: objectAt(metadata, 'desired') },
    objectAt(state, 'reported'),
  )
  return delta.state.size === 0 ? undefined : delta
}

function difference(desired: Part, reported: SqlObject): Part {
  const state = new Map<string, Value>()
  const metadata = new Map<string, Value>()
  for (const [name, value] of desired.state) {
    const other = reported.get(name)
    if (isObject(value) && isObject(other)) {
      const part = { state: value, metadata: objectAt(desired.metadata, name) }
      const nested = difference(part, other)
      if (nested.state.size === 0) continue
      state.set(name, nested.state)
      metadata.set(name, nested.metadata)
    } else if (!areEqual(value, other)) {
      state.set(name, value)
      metadata.set(name, desired.metadata.get(name))
    }
  }
  return { state, metadata }
}

function areEqual(left: Value, right: Value): boolean {
  if (isNumber(left) && isNumber(right)) return compareNumbers(left, right) === 0
  if (isArray(left) && isArray(right)) {
    return left.length === right.length && left.every((value, at) => areEqual(value, right[at]))
  }
  if (isObject(left) && isObject(right)) {
    return (
      left.size === right.size &&
      [...left].every(([name, value]) => areEqual(value, right.get(name)))
    )
  }
  return left === right
}

function objectAt(value: SqlObject | undefined, name: string): SqlObject {
  const member = value?.get(name)
  return isObject(member) ? member : empty
}
