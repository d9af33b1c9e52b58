/**
 * A child process: appends messages of three records to the data folder named on its command line,
 * several at a time, and prints the number of each message once it is acknowledged. Every second
 * message of stream `settled` is settled, so that removals are under way when it is killed.
 */
import { systemClock } from '../../src/clock.ts'
import { openOutbox } from '../../src/outbox/outbox.ts'
import { createLogger, createMetrics } from '../../src/telemetry.ts'

const roleArn = 'arn:aws:iam::000000000000:role/sluice-writes'
const stream = (streamName: string) => ({ region: 'us-east-1', streamName, roleArn })
const outbox = await openOutbox({
  directory: process.argv[2] ?? '',
  metrics: createMetrics(),
  logger: await createLogger('silent', { pretty: false }),
  clock: systemClock,
})

const destinations = [stream('a'), stream('b'), stream('settled')]
let lastMessage = 0

async function appendForever(): Promise<never> {
  for (;;) {
    const data = Buffer.from(String(++lastMessage))
    const common = { partitionKey: 'key', data, ruleName: 'rule', actionIndex: 0 }
    await outbox.append(destinations.map((destination) => ({ ...common, destination })))
    process.stdout.write(`${data.toString()}\n`)
  }
}

let lastRead = 0
outbox.onAppended(() => {
  const settled = outbox.destinations().find((entry) => entry.destination.streamName === 'settled')
  if (settled === undefined) return
  const records = outbox.read(settled.id, lastRead, { countMax: 100, bytesMax: 100_000 })
  lastRead = records.at(-1)?.sequence ?? lastRead
  outbox.settle(
    settled.id,
    records.filter(({ data }) => Number(data) % 2 === 0),
  )
})

await Promise.all(Array.from({ length: 8 }, appendForever))
