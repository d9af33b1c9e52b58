/**
 * Counts the records on disk that share a message: the commit that removes the last of them removes
 * the message, too. The counts are not on disk. They are taken anew when the outbox is opened,
 * because its file is read then anyway.
 *
 * A message counts once in the bytes of the outbox (with the destination 0, to which no record
 * belongs), and once in those of each destination that has a record of it: a destination that fails
 * must not keep more than its share of the disk, whoever else needs the message.
 */
import type { SharedMessage } from '../store/queued-record.ts'
import type { DestinationEntry, Destinations } from './destinations.ts'

/** Messages that may be shared at a time. Beyond it each record has all in itself. */
const messagesMax = 50_000

/** A message, and how many records of each destination share it. */
interface CountedMessage {
  readonly bytes: number
  /** By destination id. */
  readonly records: Map<number, number>
}

/** A record that shares a message and leaves. */
export interface LeavingSharer {
  readonly destination: DestinationEntry
  /** The sequence of the message. */
  readonly id: number
}

/** A message of a commit, and the destination of each of its records. */
export interface AddedMessage {
  readonly message: SharedMessage
  readonly destinations: readonly DestinationEntry[]
}

export interface SharedMessages {
  /** Whether further messages may be shared. */
  hasRoom(): boolean
  /** The messages that no record shares once these have left. */
  lastOf(
    leaving: readonly LeavingSharer[],
  ): readonly { readonly id: number; readonly bytes: number }[]
  add(message: AddedMessage): void
  /** @returns the destinations that have fewer bytes now */
  remove(leaving: readonly LeavingSharer[]): ReadonlySet<DestinationEntry>
}

/** @param counted the messages on disk, by their sequences; undefined: messages are not shared */
export function createSharedMessages(
  counted: ReadonlyMap<number, CountedMessage> | undefined,
  destinations: Pick<Destinations, 'entryWithId'>,
): SharedMessages {
  const messages = new Map(counted)
  for (const { bytes, records } of messages.values()) {
    for (const id of records.keys()) pin(destinations.entryWithId(id), bytes)
  }

  return {
    hasRoom: () => counted !== undefined && messages.size < messagesMax,
    lastOf(leaving) {
      const gone = new Map<number, number>()
      for (const { id } of leaving) gone.set(id, (gone.get(id) ?? 0) + 1)
      return Array.from(gone, ([id, count]) => {
        const message = messages.get(id)
        return { id, bytes: message?.bytes ?? 0, left: totalOf(message) - count }
      }).filter(({ left }) => left === 0)
    },
    add({ message: { id, value }, destinations: entries }) {
      const bytes = value.length
      const records = new Map<number, number>()
      for (const entry of entries) {
        const count = records.get(entry.id) ?? 0
        if (count === 0) pin(entry, bytes)
        records.set(entry.id, count + 1)
      }
      messages.set(id, { bytes, records })
    },
    remove(leaving) {
      const lighter = new Set<DestinationEntry>()
      for (const { id, destination } of leaving) {
        const message = messages.get(id)
        const count = message?.records.get(destination.id)
        if (message === undefined || count === undefined) continue
        if (count > 1) {
          message.records.set(destination.id, count - 1)
          continue
        }
        message.records.delete(destination.id)
        if (message.records.size === 0) messages.delete(id)
        pin(destination, -message.bytes)
        lighter.add(destination)
      }
      return lighter
    },
  }
}

function pin(entry: DestinationEntry | undefined, bytes: number): void {
  if (entry) entry.messageBytes += bytes
}

function totalOf(message: CountedMessage | undefined): number {
  let total = 0
  for (const count of message?.records.values() ?? []) total += count
  return total
}
