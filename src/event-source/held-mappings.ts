import { randomUUID } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import { parseFunctionName } from './functions/function-name.ts'
import type { LocalFunctions } from './functions/functions.ts'
import { findSame, mappingsMax } from './mapping-api.ts'
import type { MappingEntries } from './mapping-entries.ts'
import { settingsOfCreate } from './mapping-request.ts'

/** A mapping that something beside the API defines. */
interface HeldMappingRequest {
  /** What defines it, for people: `Stream of template.yaml`. It tells the mapping from others. */
  readonly origin: string
  /** The body of CreateEventSourceMapping, not yet checked. */
  readonly request: unknown
}

interface HeldMappingChanges {
  /** Origins of the mappings that are new or changed. */
  readonly changed: readonly string[]
  readonly removed: readonly string[]
  readonly problems: readonly { readonly origin: string; readonly text: string }[]
}

/**
 * Replaces the mappings that are defined elsewhere. They are stored with the others, so that they
 * keep their checkpoints. What the API changes holds until their definition changes, or the process
 * starts again. A mapping that cannot be used keeps its last good settings. Calls must not overlap.
 */
export type HoldMappings = (wanted: readonly HeldMappingRequest[]) => Promise<HeldMappingChanges>

interface HeldMappingsDependencies {
  readonly clock: Clock
  readonly functions: LocalFunctions
  readonly entries: MappingEntries
}

interface HeldMappingsOptions {
  readonly region: string
  readonly accountId: string
}

export function createHeldMappings(
  dependencies: HeldMappingsDependencies,
  options: HeldMappingsOptions,
): HoldMappings {
  const { entries } = dependencies
  /** The definitions that were brought into force, by origin. */
  let known: ReadonlyMap<string, string> = new Map()

  return async (wanted) => {
    const texts = new Map<string, string>()
    const kept = new Set<string>()
    const changed: string[] = []
    const removed: string[] = []
    const problems: { readonly origin: string; readonly text: string }[] = []
    for (const each of wanted) {
      const { origin } = each
      const text = JSON.stringify(each.request)
      const before = entries.all().find(({ stored }) => stored.heldBy === origin)
      try {
        const isNew = known.get(origin) !== text
        const done = isNew ? await bringIntoForce(dependencies, options, each, kept) : undefined
        if (done?.isChanged === true) changed.push(origin)
        const uuid = done?.uuid ?? before?.stored.uuid
        if (uuid !== undefined) kept.add(uuid)
        texts.set(origin, text)
      } catch (thrown) {
        if (!(thrown instanceof SluiceError)) throw thrown
        problems.push({ origin, text: thrown.message })
        if (before) kept.add(before.stored.uuid)
      }
    }
    for (const { stored } of entries.all()) {
      if (stored.heldBy === undefined || kept.has(stored.uuid)) continue
      await settledChange(entries, stored.uuid, () => entries.remove(stored.uuid))
      removed.push(stored.heldBy)
    }
    known = texts
    return { changed, removed, problems }
  }
}

/** @param kept mappings that other definitions have already */
async function bringIntoForce(
  { clock, functions, entries }: HeldMappingsDependencies,
  options: HeldMappingsOptions,
  { origin, request }: HeldMappingRequest,
  kept: ReadonlySet<string>,
): Promise<{ readonly uuid: string; readonly isChanged: boolean }> {
  const lastModifiedMs = clock.wallMs()
  const { settings, tags } = settingsOfCreate(request, lastModifiedMs)
  await refuseMissingFunction(functions, settings.FunctionName)
  const own = findSame(entries, settings, options)?.stored
  if (own === undefined) {
    if (entries.all().length >= mappingsMax) {
      throw new SluiceError(
        'InvalidParameterValueException',
        `there are ${mappingsMax} event source mappings, which is the limit`,
      )
    }
    const uuid = randomUUID()
    const stored = { uuid, settings, tags, heldBy: origin, lastModifiedMs }
    await settledChange(entries, uuid, () => entries.add(stored))
    return { uuid, isChanged: true }
  }
  const { uuid } = own
  if (own.heldBy === undefined || kept.has(uuid)) {
    const text = `the mapping ${uuid} has its stream and its function already`
    throw new SluiceError('ResourceConflictException', text)
  }
  const isSame = JSON.stringify(own.settings) === JSON.stringify(settings)
  if (isSame && own.heldBy === origin) return { uuid, isChanged: false }
  const stored = { uuid, settings, tags, heldBy: origin, lastModifiedMs }
  await settledChange(entries, uuid, () => entries.replace(stored))
  return { uuid, isChanged: !isSame }
}

/** @throws SluiceError ResourceNotFoundException (rejects) */
async function refuseMissingFunction(functions: LocalFunctions, name: string): Promise<void> {
  try {
    await functions.findLocal(parseFunctionName(name))
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    if (thrown.code !== 'ResourceNotFoundException') throw thrown
    const { name: short } = parseFunctionName(name)
    const text = `its function ${short} does not run here: ${short}.mjs in the functions folder would`
    throw new SluiceError('ResourceNotFoundException', text, { cause: thrown })
  }
}

/** Waits for a change under way, makes another one, and waits for its end. */
async function settledChange(
  entries: MappingEntries,
  uuid: string,
  change: () => Promise<unknown>,
): Promise<void> {
  await entries.settled(uuid)
  await change()
  await entries.settled(uuid)
}
