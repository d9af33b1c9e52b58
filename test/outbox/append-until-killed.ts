/**
 * A child process: appends messages of three records to the data folder named on its command line,
 * several at a time, and prints the number of each message once it is acknowledged. Every second
 * message of stream `settled` is settled and every tenth of the others given up, and dead letters
 * are replayed, so that every kind of move is under way when it is killed.
 */
import { targetOf } from '../../src/outbox/outbox.ts'
import { systemClock } from '../../src/base/clock.ts'
import { openOutbox } from '../../src/outbox/outbox.ts'
import type { QueuedRecord } from '../../src/outbox/outbox.ts'
import { createLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import { newRecord } from './records.ts'

const outbox = await openOutbox({
  directory: process.argv[2] ?? '',
  metrics: createMetrics(),
  logger: await createLogger('silent', { pretty: false }),
  clock: systemClock,
})

const streams = ['a', 'b', 'settled']
let lastMessage = 0

async function appendForever(): Promise<never> {
  for (;;) {
    const text = String(++lastMessage)
    await outbox.append(streams.map((stream) => newRecord(stream, 'key', text)))
    process.stdout.write(`${text}\n`)
  }
}

const isEven = ({ data }: QueuedRecord) => Number(data) % 2 === 0

let lastRead = 0
outbox.onAppended(() => {
  const settled = outbox.destinations().find((entry) => targetOf(entry.destination) === 'settled')
  if (settled === undefined) return
  const records = outbox.read(settled.id, lastRead, { countMax: 100, bytesMax: 100_000 })
  lastRead = records.at(-1)?.sequence ?? lastRead
  outbox.delivered(settled.id, records.filter(isEven))
  const reason = { code: 'Refused', message: '' }
  void outbox.giveUp(
    settled.id,
    records
      .filter(({ data }) => Number(data) % 10 === 1)
      .map((record) => ({ record, reason, attempts: 1, firstMs: 1, lastMs: 1 })),
  )
  if (lastMessage % 50 === 0) void outbox.deadLetters.replay({}, 'asIs')
})

await Promise.all(Array.from({ length: 8 }, appendForever))
