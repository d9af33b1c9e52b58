import { SluiceError, messageOf } from '../errors.ts'
import type { DestinationRow } from './outbox-store.ts'

/** Where records go. Records of one destination are delivered together and in order. */
export interface Destination {
  readonly region: string
  readonly streamName: string
  /** The role that the rule names; it is assumed to write. */
  readonly roleArn: string
}

/** A destination with its id in the outbox and what waits for it. */
export interface DestinationEntry {
  readonly id: number
  readonly destination: Destination
  readonly json: string
  /** False until a commit has carried its row. */
  stored: boolean
  /** Durable records that are not settled, and their bytes of data and partition key. */
  records: number
  bytes: number
}

export interface DestinationTable {
  /** The entry of a destination, with an id of its own from the first time that it is seen. */
  entryOf(destination: Destination): DestinationEntry
  entryWithId(id: number): DestinationEntry | undefined
  entries(): readonly DestinationEntry[]
  /** Notes that the rows of these ids are on disk. */
  markStored(ids: readonly number[]): void
}

/**
 * The destinations of the outbox, in memory. Ids are never given twice.
 *
 * Two destinations are the same when their canonical text is: a JSON array of the members in a
 * fixed order, so that neither the order of members nor a further object makes another queue.
 */
export function createDestinationTable(rows: readonly DestinationRow[]): DestinationTable {
  const byText = new Map<string, DestinationEntry>()
  const byId = new Map<number, DestinationEntry>()
  // Compiled actions hand in the same object again and again: it spares the text.
  const byObject = new WeakMap<Destination, DestinationEntry>()
  let lastId = 0

  function add(id: number, destination: Destination, json: string, stored: boolean) {
    const entry: DestinationEntry = { id, destination, json, stored, records: 0, bytes: 0 }
    byText.set(canonicalText(destination), entry)
    byId.set(id, entry)
    lastId = Math.max(lastId, id)
    return entry
  }

  for (const { id, json } of rows) add(id, parseDestination(json), json, true)

  return Object.freeze({
    entryOf(destination: Destination) {
      const known = byObject.get(destination) ?? byText.get(canonicalText(destination))
      const entry = known ?? addNew(destination)
      byObject.set(destination, entry)
      return entry
    },
    entryWithId: (id: number) => byId.get(id),
    entries: () => [...byId.values()],
    markStored(ids: readonly number[]) {
      for (const id of ids) {
        const entry = byId.get(id)
        if (entry) entry.stored = true
      }
    },
  })

  function addNew({ region, streamName, roleArn }: Destination): DestinationEntry {
    const destination = Object.freeze({ region, streamName, roleArn })
    return add(lastId + 1, destination, JSON.stringify(destination), false)
  }
}

/** What makes a destination the same one: see `createDestinationTable`. */
export function canonicalText({ region, streamName, roleArn }: Destination): string {
  return JSON.stringify([region, streamName, roleArn])
}

function parseDestination(json: string): Destination {
  try {
    const { region, streamName, roleArn } = JSON.parse(json) as Destination
    return Object.freeze({ region, streamName, roleArn })
  } catch (error) {
    throw new SluiceError(
      'DataFolderUnusable',
      `The outbox holds a destination that cannot be read: ${messageOf(error)}`,
      { cause: error },
    )
  }
}
