/**
 * The shadows that the nodes of a cluster share: one value for each, a row as it is on disk
 * (shadow-row.ts), under `<thing>.n<shadow>`, or `<thing>.c` for the classic one.
 *
 * Invariants:
 * - A change is decided on the document that it replaces: of two nodes that change a shadow at
 *   once, one decides again. So versions have no gaps, and no update is lost.
 * - The changes of one shadow at one node are made one after the other.
 * - What a deletion leaves tells the last version, and goes by itself after 48 hours.
 *
 * Every read asks the store: 10,000 documents of 8 KiB and their metadata would be some hundred MB
 * in each node, while most shadows are seldom read, and never by a node that has no such device.
 */
import { SluiceError } from '../../base/errors.ts'
import { createKeyedQueue } from '../../base/keyed-queue.ts'
import type { ComparedValues } from '../../cluster/state/compared-values.ts'
import {
  AnswerLost,
  keyPartOf,
  nameOfKey,
  stateUnavailable,
} from '../../cluster/state/shared-state.ts'
import { decodeShadowRow, encodeShadowRow } from './shadow-row.ts'
import type { StoredShadow } from './shadow-row.ts'
import { rememberedMs, rowName, shadowsMax } from './shadow-store.ts'
import type { ShadowDecision, ShadowPage, ShadowQuery, ShadowStore } from './shadow-store.ts'

/** Decisions of one change: each time another node was faster, so others got on. */
const attemptsMax = 100
/** Attempts of one write whose answers do not come. */
const answersLostMax = 3
const rememberedSeconds = rememberedMs / 1_000
/** Changes of one shadow that wait at this node. */
const waitingMax = 1_000
/** Values that one list reads at a time. */
const readsAtOnceMax = 32

/** @throws SluiceError ServiceUnavailableException from all its methods (rejects) */
export function createSharedShadows(values: ComparedValues): ShadowStore {
  const queue = createKeyedQueue()

  async function read(thingName: string, shadowName: string) {
    const found = await values.get(keyOf(thingName, shadowName))
    const stored = found && decodeShadowRow(rowName(thingName, shadowName), found.value)
    return { stored, revision: found?.revision ?? 0 }
  }

  return {
    get: async (thingName, shadowName = '') => (await read(thingName, shadowName)).stored,

    change(thingName, shadowName = '', decide) {
      const name = rowName(thingName, shadowName)
      if (queue.length(name) > waitingMax) return Promise.reject(tooMany(name))
      const key = keyOf(thingName, shadowName)
      const look = async (): Promise<Seen> => {
        const { stored, revision } = await read(thingName, shadowName)
        const isFull = stored === undefined && (await values.count()) >= shadowsMax
        return { stored, revision, isFull }
      }
      return queue.run(name, () =>
        decideUntilWritten(name, {
          look,
          decide,
          write: (row, before, isDeleted) =>
            values.put(key, row, before, isDeleted ? rememberedSeconds : undefined),
        }),
      )
    },

    async names(thingName, { after, max }) {
      const keys = await values.keys(keyPartOf(thingName))
      return keys
        .flatMap((key) => placeOf(key)?.[1] ?? [])
        .filter((name) => name > after)
        .toSorted(byCodeUnits)
        .slice(0, max)
    },

    list: (query) => listShared(values, query, read),
    close: () => queue.idle(),
  }
}

interface Change<Outcome extends ShadowDecision> {
  readonly look: () => Promise<Seen>
  /** @returns undefined when the shadow has another revision */
  readonly write: (row: Buffer, before: number, isDeleted: boolean) => Promise<number | undefined>
  readonly decide: (seen: Seen) => Outcome
}

interface Seen {
  readonly stored: StoredShadow | undefined
  readonly revision: number
  readonly isFull: boolean
}

async function decideUntilWritten<Outcome extends ShadowDecision>(
  name: string,
  { look, write, decide }: Change<Outcome>,
): Promise<{ readonly outcome: Outcome; readonly durable: Promise<void> | undefined }> {
  let answersLost = 0
  /** What a write whose answer was lost may have made. */
  let lost: { readonly row: Buffer; readonly outcome: Outcome } | undefined
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const seen = await look()
    const isMade = lost !== undefined && isRowOf(name, seen.stored, lost.row)
    if (lost && isMade) return { outcome: lost.outcome, durable: Promise.resolve() }
    const outcome = decide(seen)
    const { change } = outcome
    if (change === undefined) return { outcome, durable: undefined }
    const row = encodeShadowRow(name, change)
    try {
      const revision = await write(row, seen.revision, change.document === undefined)
      if (revision !== undefined) return { outcome, durable: Promise.resolve() }
    } catch (thrown) {
      answersLost += 1
      if (!(thrown instanceof AnswerLost)) throw thrown
      if (answersLost === answersLostMax) throw stateUnavailable(thrown.message, thrown)
      lost = { row, outcome }
    }
  }
  throw stateUnavailable(`other nodes change the shadow ${name} without a pause`)
}

const isRowOf = (name: string, stored: StoredShadow | undefined, row: Buffer): boolean =>
  stored !== undefined && encodeShadowRow(name, stored).equals(row)

async function listShared(
  values: ComparedValues,
  { prefix, after, max }: ShadowQuery,
  read: (thingName: string, shadowName: string) => Promise<{ stored: StoredShadow | undefined }>,
): Promise<ShadowPage> {
  const places = (await values.keys())
    .map(placeOf)
    .filter((place) => place !== undefined)
    .filter((place) => place[0].startsWith(prefix) && isAfter(place, after))
    .toSorted(([thing, shadow], [otherThing, otherShadow]) =>
      thing === otherThing ? byCodeUnits(shadow, otherShadow) : byCodeUnits(thing, otherThing),
    )
  const page = places.slice(0, max)
  const found: ShadowPage['found'][number][] = []
  for (let first = 0; first < page.length; first += readsAtOnceMax) {
    const some = page.slice(first, first + readsAtOnceMax)
    const listed = async ([thingName, shadowName]: [string, string]) => {
      // One that is damaged is left out, as it is on a disk.
      const { stored } = await read(thingName, shadowName).catch(passOverDamage)
      const version = stored?.document?.version
      return version === undefined ? [] : [{ thingName, shadowName, version }]
    }
    found.push(...(await Promise.all(some.map(listed))).flat())
  }
  return { found, last: places.length > page.length ? page.at(-1) : undefined }
}

/** Undefined for a damaged row, which is kept. */
function passOverDamage(thrown: unknown): { readonly stored: undefined } {
  if (thrown instanceof SluiceError && thrown.code === 'DataFolderDamaged') {
    return { stored: undefined }
  }
  throw thrown
}

const keyOf = (thingName: string, shadowName: string): string =>
  `${keyPartOf(thingName)}.${shadowName === '' ? 'c' : `n${keyPartOf(shadowName)}`}`

/** The reverse; undefined for a key of something else. */
function placeOf(key: string): [thingName: string, shadowName: string] | undefined {
  const [thing = '', shadow = '', ...rest] = key.split('.')
  const thingName = nameOfKey('t', `t.${thing}`)
  const shadowName = shadow === 'c' ? '' : nameOfKey('n', `n.${shadow.slice(1)}`)
  const isOurs = rest.length === 0 && (shadow === 'c' || shadow.startsWith('n'))
  if (!isOurs || thingName === undefined || shadowName === undefined) return undefined
  return [thingName, shadowName]
}

const isAfter = (
  [thingName, shadowName]: readonly [string, string],
  after: readonly [string, string] | undefined,
): boolean =>
  after === undefined || thingName > after[0] || (thingName === after[0] && shadowName > after[1])

const byCodeUnits = (left: string, right: string): number => (left < right ? -1 : 1)

const tooMany = (name: string): SluiceError =>
  stateUnavailable(`${waitingMax} other changes of the shadow ${name} wait`)
