import type { StoredMsg } from '@nats-io/jetstream'
import type { Clock } from '../../base/clock.ts'
import type { LogNames } from './log-names.ts'
import type { LogRequests } from './log-requests.ts'
import { closedError } from './publish-batch.ts'
import type { BatchMessage } from './publish-batch.ts'
import { LaneLostError, LogFullError, batchMessagesMax } from './replicated-log.ts'
import type { LaneProgress, WrittenProgress } from './replicated-log.ts'

/** Writes progress, each with its dead letters in one atomic batch. */
interface ProgressWriter {
  /** @throws LaneLostError, LogFullError (rejects) */
  write(progress: LaneProgress, deadLetters: readonly Uint8Array[]): Promise<WrittenProgress>
}

interface ProgressWriterDependencies {
  readonly clock: Pick<Clock, 'sleep'>
  readonly requests: Pick<LogRequests, 'publish' | 'lastOf' | 'waiting'>
}

/** Tells whose the last progress is when no answer came. */
const writeHeader = 'Sluice-Write'
const answerMsMax = 3_000
const retryMsMin = 50
const retryMsMax = 1_000

export function createProgressWriter(
  { clock, requests }: ProgressWriterDependencies,
  {
    names,
    closing,
    writeId,
  }: {
    readonly names: LogNames
    readonly closing: AbortSignal
    readonly writeId: () => string
  },
): ProgressWriter {
  return {
    async write({ lane, revision, data }, deadLetters) {
      if (deadLetters.length > batchMessagesMax) {
        throw new RangeError(
          `a batch has at most ${batchMessagesMax} dead letters, and not ${deadLetters.length}`,
        )
      }
      const subject = names.progress(lane)
      const write = writeId()
      // The comparison comes first, so that a write that was stored is not told to have no room.
      const messages: readonly BatchMessage[] = [
        {
          subject,
          data,
          headers: [
            ['Nats-Expected-Last-Subject-Sequence', String(revision)],
            ['Nats-Rollup', 'sub'],
            [writeHeader, write],
          ],
        },
        ...deadLetters.map((letter) => ({ subject: names.deadLetter(lane), data: letter })),
      ]
      const written = (first: number) => ({
        revision: first,
        deadLetters: deadLetters.map((_, index) => first + 1 + index),
      })
      let retryMs = retryMsMin
      for (;;) {
        if (closing.aborted) throw closedError()
        const outcome = await requests.publish(messages, { id: writeId(), timeoutMs: answerMsMax })
        if (outcome.kind === 'stored') return written(outcome.firstSequence)
        if (outcome.kind === 'full') throw new LogFullError(outcome.text)
        if (outcome.kind === 'unknown') requests.waiting(outcome.text)
        if (closing.aborted) throw closedError()
        const last = await requests.lastOf(subject)
        if (last !== null && last.header.get(writeHeader) === write) return written(last.seq)
        if ((last?.seq ?? 0) !== revision) {
          throw new LaneLostError(`another node has written the progress of lane ${lane}`)
        }
        await clock.sleep(retryMs, closing)
        retryMs = Math.min(retryMs * 2, retryMsMax)
      }
    },
  }
}

/** @param message null when the lane has no progress yet */
export function progressOf(lane: number, message: StoredMsg | null): LaneProgress {
  return message === null
    ? { lane, revision: 0, data: new Uint8Array() }
    : { lane, revision: message.seq, data: message.data }
}
