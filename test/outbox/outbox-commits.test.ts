import { expect, test } from 'vitest'
import { createRoom } from '../../src/outbox/room.ts'
import { createDeadLetterOverflow } from '../../src/outbox/dead-letter-overflow.ts'
import { createDestinations } from '../../src/outbox/books/destinations.ts'
import { createLedger, createLedgerMetrics } from '../../src/outbox/books/ledger.ts'
import { createSharedMessages } from '../../src/outbox/books/shared-messages.ts'
import { createNewEntries, heldOnly, holdAll } from '../../src/outbox/new-entry.ts'
import { createOutboxCommits } from '../../src/outbox/outbox-commits.ts'
import { openOutboxStore } from '../../src/outbox/store/outbox-store.ts'
import { createPendingRemovals, createUnreadRecords } from '../../src/outbox/queue-reader.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import { newRecord, temporaryDirectory } from './outbox-parts.ts'

/** The commits of an outbox that has room for one destination. */
async function openCommits() {
  const directory = temporaryDirectory()
  const metrics = createMetrics()
  const store = await openOutboxStore(directory)
  const destinations = createDestinations([], [], 1)
  const ledger = createLedger([])
  const bytesHeld = () => destinations.total().bytes
  const commits = createOutboxCommits({
    directory,
    clock: systemClock,
    logger: createMemoryLogger(() => {}),
    metrics,
    store,
    destinations,
    ledger,
    ledgerMetrics: createLedgerMetrics(destinations, metrics),
    pendingRemovals: createPendingRemovals(),
    unread: createUnreadRecords(0),
    overflow: createDeadLetterOverflow({ store, destinations, ledger }, { bytesMax: 1_000_000 }),
    onAppended: () => {},
    room: createRoom({ metrics, bytesHeld }, { bytesMax: 1_000_000 }),
    sharedMessages: createSharedMessages(new Map(), destinations),
  })
  let sequence = 0
  const newEntries = createNewEntries({ destinations, ledger, nextSequence: () => ++sequence })
  return { store, destinations, ledger, commits, newEntries }
}

test('a commit refuses a record whose destination was forgotten, and writes nothing of it', async () => {
  const { store, destinations, ledger, commits, newEntries } = await openCommits()
  const gone = [newRecord('gone', 'k', '1')]
  const held = holdAll(destinations, gone, heldOnly) ?? []
  for (const { entry } of held) destinations.release(entry)
  const there = [newRecord('there', 'k', '2')]
  const others = holdAll(destinations, there, heldOnly) ?? []
  const transaction = (entries: ReturnType<typeof newEntries>) => {
    return { entries, bytes: 100, requestedMs: systemClock.wallMs() }
  }
  await expect(commits.append(transaction(newEntries(gone, held, 1)))).rejects.toMatchObject({
    code: 'OutboxWriteFailed',
    message: expect.stringContaining('destination 1 (gone) has no row') as string,
  })
  const recordsOf = (id: number) => [...store.entriesAfter(id, 0)]
  expect(recordsOf(1)).toEqual([])
  expect(store.countRows()).toEqual([])
  expect(store.lastSequence()).toBe(0)
  expect(ledger.ofRule('telemetry')).toMatchObject([{ accepted: 0, queued: 0 }])
  await commits.append(transaction(newEntries(there, others, 1)))
  expect(store.destinationRows()).toMatchObject([{ id: 2 }])
  expect(recordsOf(2)).toHaveLength(1)
  expect(ledger.ofRule('telemetry')).toMatchObject([{ accepted: 1, queued: 1 }])
  await commits.close()
  await store.close()
})
