/**
 * A child process: appends one message after the other to the data folder named on its command
 * line, and prints `written <number>` or `refused <code>` for each.
 */
import { systemClock } from '../../src/clock.ts'
import { SluiceError } from '../../src/errors.ts'
import { openOutbox } from '../../src/outbox/outbox.ts'
import { createLogger, createMetrics } from '../../src/telemetry.ts'

const roleArn = 'arn:aws:iam::000000000000:role/sluice-writes'
const outbox = await openOutbox({
  directory: process.argv[2] ?? '',
  metrics: createMetrics(),
  logger: await createLogger('silent', { pretty: false }),
  clock: systemClock,
})

const destination = { region: 'us-east-1', streamName: 'a', roleArn }
const padding = 'x'.repeat(50_000)
for (let message = 1; ; message++) {
  const data = Buffer.from(`${message} ${padding}`)
  try {
    await outbox.append([
      { destination, partitionKey: 'key', data, ruleName: 'rule', actionIndex: 0 },
    ])
    process.stdout.write(`written ${message}\n`)
  } catch (error) {
    const refusal = error instanceof SluiceError ? error.code : String(error)
    process.stdout.write(`refused ${refusal}\n`)
    await systemClock.sleep(5)
  }
}
