import { ApiError, call } from '../../api/engine.ts'

export interface ListedShadow {
  readonly thingName: string
  /** Absent for the classic shadow. */
  readonly shadowName?: string
  /** Absent for a thing that has no shadow. */
  readonly version?: number
}

export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [member: string]: Json
}

export interface ShadowDocument {
  readonly state: {
    readonly desired?: JsonObject
    readonly reported?: JsonObject
    readonly delta?: JsonObject
  }
  readonly version: number
  /** Epoch seconds. */
  readonly timestamp: number
}

const pageMax = 1_000
/** Shadows, and things of the registry, that the page lists at most. */
const readMax = 5_000

/** Shadows in the order of their things, with the registered things that have none. */
export async function readShadows(
  prefix: string,
  signal: AbortSignal,
): Promise<{ readonly shadows: readonly ListedShadow[]; readonly isCut: boolean }> {
  const shadows: ListedShadow[] = []
  let nextToken: string | undefined
  do {
    const query = { prefix, nextToken, maxResults: String(pageMax) }
    const page: { readonly shadows: readonly ListedShadow[]; readonly nextToken?: string } =
      await call({ path: '/v1/shadows', query, signal })
    shadows.push(...page.shadows)
    nextToken = page.nextToken
  } while (nextToken !== undefined && shadows.length < readMax)
  const having = new Set(shadows.map(({ thingName }) => thingName))
  const others = (await readThings(signal)).filter(
    (thingName) => thingName.startsWith(prefix) && !having.has(thingName),
  )
  const all = [...shadows, ...others.map((thingName) => ({ thingName }))]
  return { shadows: all.toSorted(byName), isCut: nextToken !== undefined }
}

const byName = (left: ListedShadow, right: ListedShadow): number =>
  left.thingName === right.thingName
    ? compare(left.shadowName ?? '', right.shadowName ?? '')
    : compare(left.thingName, right.thingName)

const compare = (left: string, right: string): number => (left < right ? -1 : 1)

/** A key that may see shadows need not be allowed to see the registry. */
async function readThings(signal: AbortSignal): Promise<readonly string[]> {
  const names: string[] = []
  let nextToken: string | undefined
  try {
    do {
      const query = { nextToken, maxResults: '250' }
      const page: {
        readonly things: readonly { readonly thingName: string }[]
        readonly nextToken?: string | null
      } = await call({ path: '/things', query, signal })
      names.push(...page.things.map(({ thingName }) => thingName))
      nextToken = page.nextToken ?? undefined
    } while (nextToken !== undefined && names.length < readMax)
  } catch (thrown) {
    if (!(thrown instanceof ApiError)) throw thrown
  }
  return names
}

export const shadowPath = (thingName: string): string =>
  `/things/${encodeURIComponent(thingName)}/shadow`

/** @returns `none` when there is no such shadow */
export async function readShadow(
  thingName: string,
  name: string,
  signal?: AbortSignal,
): Promise<ShadowDocument | 'none'> {
  try {
    return await call<ShadowDocument>({
      path: shadowPath(thingName),
      query: { name },
      ...(signal && { signal }),
    })
  } catch (thrown) {
    if (thrown instanceof ApiError && thrown.code === 'ResourceNotFoundException') return 'none'
    throw thrown
  }
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An update is merged into the document, so that what is taken out must be named with null. */
export function updateFor(before: JsonObject, wanted: JsonObject): JsonObject {
  const update: Record<string, Json> = { ...wanted }
  for (const [member, value] of Object.entries(before)) {
    const next = wanted[member]
    if (next === undefined) update[member] = null
    else if (isObject(value) && isObject(next)) update[member] = updateFor(value, next)
  }
  return update
}

/** @throws SyntaxError for what is no JSON object */
export function parseObject(text: string): JsonObject {
  const value = JSON.parse(text) as Json
  if (isObject(value)) return value
  throw new SyntaxError('The desired state is a JSON object, such as {"led": "on"}.')
}
