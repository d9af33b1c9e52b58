/**
 * A child process: appends one message after the other to the data folder named on its command
 * line, and prints `written <number>` or `refused <code>` for each, with `fails` behind it when the
 * outbox says that it cannot write.
 */
import { systemClock } from '../../src/base/clock.ts'
import { SluiceError } from '../../src/base/errors.ts'
import { openOutbox } from '../../src/outbox/outbox.ts'
import { createLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import { newRecord } from './records.ts'

const outbox = await openOutbox({
  directory: process.argv[2] ?? '',
  metrics: createMetrics(),
  logger: await createLogger('silent', { pretty: false }),
  clock: systemClock,
})

const failing = () => (outbox.troubles.doWritesFail() ? ' fails' : '')
const padding = 'x'.repeat(50_000)
for (let message = 1; ; message++) {
  try {
    await outbox.append([newRecord('a', 'key', `${message} ${padding}`)])
    process.stdout.write(`written ${message}${failing()}\n`)
  } catch (error) {
    const refusal = error instanceof SluiceError ? error.code : String(error)
    process.stdout.write(`refused ${refusal}${failing()}\n`)
    await systemClock.sleep(5)
  }
}
