import { SluiceError } from '../base/errors.ts'
import type { Message, MessageSender } from '../message.ts'
import { isForSubscribers } from './upstream-message.ts'

/**
 * Takes the messages of one connection to their acknowledgements.
 *
 * - The engine gets a message as soon as it is read, in the order of arrival.
 * - A message of QoS 1 is acknowledged when its records are durable, and what sessions keep of it
 *   is on disk. Acknowledgements go out in the order of arrival [MQTT-4.6.0-2], and subscribers
 *   here get messages in that order.
 * - What cannot be made durable ends the connection: neither it nor a later message is
 *   acknowledged, and the broker sends them again, in their order, to the next connection.
 * - At most `unacknowledgedMax` messages are handled at a time; then nothing more is read.
 */
interface Intake {
  /**
   * @param acknowledge called at most once, and never after a failure
   * @param proceed called once when the next message may be read
   */
  take(message: Message, acknowledge: () => void, proceed: () => void): void
  /** Acknowledges in its turn what nothing is done with. */
  skip(acknowledge: () => void, proceed: () => void): void
  readonly unfinished: number
  /** Resolves when nothing is unfinished. */
  idle(): Promise<void>
  /** The connection has gone: what waits for room need not wait any more. */
  stop(): void
}

export interface IntakeDependencies {
  /** See `IngressDependencies.ingest`. */
  readonly ingest: (message: Message, sender: MessageSender) => Promise<void>
  /** See `Ingress.distribute`. */
  readonly distribute: (message: Message, kept: (fault?: unknown) => void) => Promise<void>
  /** A message is finished; those that the broker sends again are not told of. */
  readonly finished: (message: Message, outcome: 'durable' | 'dropped', cause?: unknown) => void
  /** Called once: a message of QoS 1 could not be made durable. */
  readonly failed: (message: Message, cause: unknown) => void
  /** Subscribers could not be given a message that is durable. */
  readonly notDistributed: (message: Message, cause: unknown) => void
}

export function createIntake(
  { ingest, distribute, finished, failed, notDistributed }: IntakeDependencies,
  { unacknowledgedMax }: { readonly unacknowledgedMax: number },
): Intake {
  const gone = new AbortController()
  const sender: MessageSender = {
    get closed() {
      return gone.signal.aborted
    },
    signal: gone.signal,
  }
  const line = createLine(unacknowledgedMax)
  let hasFailed = false

  function fail(message: Message, cause: unknown): void {
    if (hasFailed) return
    hasFailed = true
    // After the connection has gone there is nobody to tell.
    if (!gone.signal.aborted) failed(message, cause)
  }

  /** Whether a message of QoS 1 is of no use to anyone here any more: it comes again. */
  const comesAgain = ({ qos }: Message) => qos > 0 && (hasFailed || gone.signal.aborted)

  async function handle(message: Message, taken: Promise<void>, acknowledge: () => void) {
    const cause = await causeOf(taken)
    if (cause !== undefined && message.qos > 0) return fail(message, cause.thrown)
    if (comesAgain(message)) return
    if (cause !== undefined) finished(message, 'dropped', cause.thrown)
    let isAcknowledged = cause !== undefined
    const kept = (fault?: unknown) => {
      if (fault !== undefined || isAcknowledged) return
      isAcknowledged = true
      acknowledge()
      finished(message, 'durable')
    }
    try {
      // Subscribers get a message of QoS 0 that the rules did not get, as from a client here.
      if (isForSubscribers(message)) await distribute(message, kept)
      kept()
    } catch (thrown) {
      if (message.qos > 0 && !isAcknowledged) fail(message, thrown)
      else notDistributed(message, thrown)
    }
  }

  return {
    take(message, acknowledge, proceed) {
      const taken = begin(ingest, message, sender)
      line.add(() => handle(message, taken, acknowledge), proceed)
    },
    skip(acknowledge, proceed) {
      const acknowledgeInTurn = async () => {
        if (!hasFailed) acknowledge()
      }
      line.add(acknowledgeInTurn, proceed)
    },
    get unfinished() {
      return line.length
    },
    idle: () => line.idle(),
    stop: () => gone.abort(),
  }
}

/** Does one thing after the other. */
function createLine(lengthMax: number) {
  /** Resolves when all so far is done; it never rejects. */
  let tail: Promise<void> = Promise.resolve()
  let length = 0
  let proceedLater: (() => void) | undefined

  async function doAfter(before: Promise<void>, work: () => Promise<void>): Promise<void> {
    await before
    await work()
    length--
    // It may come back to `add` before it returns.
    const proceed = proceedLater
    proceedLater = undefined
    proceed?.()
  }

  return {
    /**
     * @param work never rejects
     * @param proceed called when there is room for more: at once, or later
     */
    add(work: () => Promise<void>, proceed: () => void): void {
      length++
      tail = doAfter(tail, work)
      if (length < lengthMax) proceed()
      else proceedLater = proceed
    },
    get length() {
      return length
    },
    async idle() {
      for (let last; last !== tail;) {
        last = tail
        await last
      }
    },
  }
}

/** Calls the engine at once; what it throws is a rejection that is looked at later. */
function begin(
  ingest: IntakeDependencies['ingest'],
  message: Message,
  sender: MessageSender,
): Promise<void> {
  let taken: Promise<void>
  try {
    taken = ingest(message, sender)
  } catch (thrown) {
    taken = Promise.reject(thrown instanceof Error ? thrown : new Error(String(thrown)))
  }
  taken.catch(() => undefined)
  return taken
}

async function causeOf(taken: Promise<void>): Promise<{ readonly thrown: unknown } | undefined> {
  try {
    await taken
    return undefined
  } catch (thrown) {
    return { thrown }
  }
}

/** Why a message of QoS 1 was not taken, for people. */
export function notTakenReason(cause: unknown): string {
  if (!(cause instanceof SluiceError)) return 'a message could not be made durable'
  return cause.code === 'OutboxFull'
    ? 'the outbox has no room for its messages, which wait there'
    : `a message could not be made durable: ${cause.message}`
}
