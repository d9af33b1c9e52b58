import { messageAdded, messageRemoved } from './books/destinations.ts'
import type { DestinationEntry } from './books/destinations.ts'
import type { AddedMessage, LeavingSharer, SharedMessages } from './books/shared-messages.ts'
import type { NewEntry } from './new-entry.ts'
import { noDestinationId } from './store/record-key.ts'

/** What a commit changes of the messages that records share. */
export interface MessageChanges {
  readonly added: readonly AddedMessage[]
  readonly leaving: readonly LeavingSharer[]
  /** Those that no record shares any more. */
  readonly gone: readonly { readonly id: number; readonly bytes: number }[]
}

/** What a commit moves. */
interface MovedSharers {
  readonly entries: readonly Pick<NewEntry, 'record' | 'destination'>[]
  readonly delivered: readonly {
    readonly destination: DestinationEntry
    readonly messageIds?: readonly number[] | undefined
  }[]
  readonly givenUp: readonly {
    readonly destination: DestinationEntry
    readonly messageId?: number | undefined
  }[]
}

const noChanges: MessageChanges = Object.freeze({ added: [], leaving: [], gone: [] })

export function messageChangesOf(
  { entries, delivered, givenUp }: MovedSharers,
  sharedMessages: Pick<SharedMessages, 'lastOf'>,
): MessageChanges {
  const added: (AddedMessage & { readonly destinations: DestinationEntry[] })[] = []
  const leaving: LeavingSharer[] = []
  for (const { record, destination } of entries) {
    const { message } = record
    if (message === undefined) continue
    const last = added.at(-1)
    if (last?.message === message) last.destinations.push(destination)
    else added.push({ message, destinations: [destination] })
  }
  for (const { destination, messageIds = [] } of delivered) {
    for (const id of messageIds) leaving.push({ destination, id })
  }
  for (const { destination, messageId: id } of givenUp) {
    if (id !== undefined) leaving.push({ destination, id })
  }
  if (added.length + leaving.length === 0) return noChanges
  return { added, leaving, gone: sharedMessages.lastOf(leaving) }
}

/** What the changes add to the counters of the destination 0. */
export function deltasOf({ added, gone }: MessageChanges): (readonly number[])[] {
  return [
    ...added.map(({ message }) => messageAdded(message.value.length)),
    ...gone.map(({ bytes }) => messageRemoved(bytes)),
  ]
}

/** The messages that go, as records of the destination 0. */
export function messageRemovals({ gone }: MessageChanges) {
  if (gone.length === 0) return []
  return [{ destination: { id: noDestinationId }, sequences: gone.map(({ id }) => id) }]
}

/** The messages as records of the destination 0, to be written. */
export function messagePuts({ added }: MessageChanges) {
  return added.map(({ message: { id, value } }) => ({
    destination: { id: noDestinationId },
    record: { sequence: id, stored: value },
  }))
}
