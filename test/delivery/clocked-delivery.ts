import { onTestFinished } from 'vitest'
import type { KinesisCalls } from '../../src/aws/kinesis-calls.ts'
import { createProducer } from '../../src/delivery/producer.ts'
import type {
  Producer,
  ProducerDependencies,
  ProducerOptions,
} from '../../src/delivery/producer.ts'
import type { Outbox } from '../../src/outbox/outbox.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import type { ManualClock } from '../helpers/manual-clock.ts'
import { moveClock, moveClockUntil } from '../helpers/move-clock.ts'
import { createRandom } from '../helpers/random.ts'
import { openTestOutbox, temporaryDirectory } from '../outbox/outbox-parts.ts'

interface ClockedDelivery {
  readonly outbox: Outbox
  readonly producer: Producer
  readonly clock: ManualClock
  readonly lines: readonly Record<string, unknown>[]
  /** Moves the clock until this holds. */
  readonly moveUntil: (holds: () => boolean) => Promise<void>
}

/**
 * A real outbox and a producer that is not started, by a clock that moves only when the test moves
 * it: however slow the machine is, everything happens at its time.
 *
 * @param callsWith makes the calls to Kinesis, which take their time from the clock
 */
export async function openClockedDelivery(
  callsWith: (clock: ManualClock) => Pick<KinesisCalls, 'put'> & Partial<KinesisCalls>,
  options: ProducerOptions & Pick<ProducerDependencies, 'onGivenUp'> = {},
): Promise<ClockedDelivery> {
  const clock = createManualClock()
  const { outbox, metrics } = await openTestOutbox(temporaryDirectory(), {}, clock)
  const lines: Record<string, unknown>[] = []
  const random = createRandom(1)
  const calls: KinesisCalls = { ...denied, ...callsWith(clock) }
  const producer = createProducer(
    {
      outbox,
      callsFor: () => calls,
      senderFor({ kind }) {
        throw new Error(`no test sends to ${kind} here`)
      },
      clock,
      logger: createMemoryLogger((line) => lines.push(line)),
      metrics,
      random: () => random(1_000_000) / 1_000_000,
      onGivenUp: options.onGivenUp,
    },
    options,
  )
  onTestFinished(async () => {
    await moveClockUntil(clock, producer.stop({ drainMs: 0 }))
    await outbox.close()
  })
  return {
    outbox,
    producer,
    clock,
    lines,
    async moveUntil(holds) {
      while (!holds()) await moveClock(clock)
    },
  }
}

/** A role that may write and do nothing else. */
const denied: Pick<KinesisCalls, 'recordBytesMax' | 'listShards'> = {
  recordBytesMax: () => Promise.resolve({ kind: 'denied' }),
  listShards: () =>
    Promise.resolve({
      listed: false,
      failure: { code: 'AccessDeniedException', message: 'no', source: 'Kinesis' },
    }),
}
