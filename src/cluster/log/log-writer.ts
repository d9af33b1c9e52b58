import { randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { closedError } from './publish-batch.ts'
import type { BatchMessage, BatchOutcome } from './publish-batch.ts'
import { LogFullError } from './replicated-log.ts'

/**
 * Stores the batches of one node, one after the other, each exactly once.
 *
 * Each batch begins with a message on the node's own subject, its mark, which names the sequence of
 * the mark before it as the expected last one. So the server stores a batch only behind the batch
 * before it: one that was stored already, and of which no answer came, is refused when it is sent
 * again, however much later. Message ids would be forgotten after some minutes.
 *
 * ```text
 * mark 7 expects the sequence of mark 6 -> stored | refused, and the last mark is 7: it was stored
 *                                                 | no answer: read the last mark, send again
 * ```
 */
interface LogWriter {
  /**
   * Stores the messages behind those of earlier calls. While it cannot be known whether they are
   * stored it asks again.
   *
   * @param areMoved no room is asked for: the servers decide
   * @throws LogFullError (rejects); SluiceError ClusterMisconfigured, ClusterUnavailable (rejects)
   */
  append(messages: readonly BatchMessage[], areMoved?: boolean): Promise<void>
  /** Batches that wait or are being stored. */
  readonly length: number
}

/** The last mark of this node in the stream. */
export interface Mark {
  readonly sequence: number
  /** The number of its batch. */
  readonly batch: number
}

interface LogWriterDependencies {
  readonly clock: Pick<Clock, 'sleep'>
  readonly publish: (
    messages: readonly BatchMessage[],
    options: { readonly id: string; readonly timeoutMs: number },
  ) => Promise<BatchOutcome>
  /** Asks until it is answered. @returns undefined when there is none */
  readonly readMark: () => Promise<Mark | undefined>
  /** Told of each attempt without an answer. */
  readonly waiting: (reason: string) => void
  /** Takes room for messages. @returns why there is none; undefined when there is */
  readonly takeRoom: (messages: readonly BatchMessage[]) => Promise<string | undefined>
}

const answerMsMin = 3_000
const answerMsMax = 10_000
const retryMsMin = 50
const retryMsMax = 1_000
/** Each so many marks the older ones are removed. */
const marksMax = 256
/** What a node leaves behind when it is killed goes by itself. */
const markLifetime = '168h'

/**
 * @param markSubject of this run of the node; nobody else writes to it
 * @param closing ends waiting: what is not known to be stored then is rejected
 */
export function createLogWriter(
  { clock, publish, readMark, waiting, takeRoom }: LogWriterDependencies,
  { markSubject, closing }: { readonly markSubject: string; readonly closing: AbortSignal },
): LogWriter {
  /** Of the last mark that is known. */
  let sequence = 0
  let batches = 0
  let tail: Promise<unknown> = Promise.resolve()
  let length = 0

  function withMark(messages: readonly BatchMessage[], batch: number): readonly BatchMessage[] {
    const expected = ['Nats-Expected-Last-Subject-Sequence', String(sequence)] as const
    const lifetime = ['Nats-TTL', markLifetime] as const
    const rollUp = ['Nats-Rollup', 'sub'] as const
    const headers = batch % marksMax === 0 ? [expected, lifetime, rollUp] : [expected, lifetime]
    return [{ subject: markSubject, data: Buffer.from(String(batch)), headers }, ...messages]
  }

  /**
   * Another batch than the last one stands there when an earlier one arrived late, after its caller
   * was told that the log is full. None is there when the last one has outlived its time.
   */
  async function wasStored(batch: number): Promise<boolean> {
    const mark = await readMark()
    sequence = mark?.sequence ?? 0
    return mark?.batch === batch
  }

  async function store(messages: readonly BatchMessage[], areMoved: boolean): Promise<void> {
    // A number is never used for other messages, not even after a failure.
    const batch = ++batches
    const full = areMoved ? undefined : await takeRoom(messages)
    if (full !== undefined) throw new LogFullError(full)
    let retryMs = retryMsMin
    let timeoutMs = answerMsMin
    for (;;) {
      if (closing.aborted) throw closedError()
      const outcome = await publish(withMark(messages, batch), { id: randomUUID(), timeoutMs })
      if (outcome.kind === 'stored') {
        sequence = outcome.firstSequence
        return
      }
      if (outcome.kind === 'full') throw new LogFullError(outcome.text)
      if (outcome.kind === 'unknown') waiting(outcome.text)
      if (closing.aborted) throw closedError()
      if (await wasStored(batch)) return
      await clock.sleep(retryMs, closing)
      retryMs = Math.min(retryMs * 2, retryMsMax)
      timeoutMs = Math.min(timeoutMs * 2, answerMsMax)
    }
  }

  return {
    append(messages, areMoved = false) {
      length++
      const stored = tail.then(() => store(messages, areMoved)).finally(() => length--)
      tail = stored.catch(() => undefined)
      return stored
    },
    get length() {
      return length
    },
  }
}
