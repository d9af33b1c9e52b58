import { JetStreamError } from '@nats-io/jetstream'
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream'
import { lastTokenOf } from './log-names.ts'
import type { LogNames } from './log-names.ts'
import type { LogRequests } from './log-requests.ts'
import type { StoredDeadLetter } from './replicated-log.ts'

/** Reads dead letters of all lanes. */
interface DeadLetterReads {
  list(afterSequence: number, max: number): Promise<readonly StoredDeadLetter[]>
}

interface DeadLetterReadsDependencies {
  readonly requests: Pick<LogRequests, 'ask' | 'lastOf'>
  readonly manager: Pick<JetStreamManager, 'direct' | 'streams'>
}

/** Of one request. */
const lettersMax = 256
const bytesMax = 8 * 1_024 * 1_024

/**
 * Any server answers with what it has, which may be less than the leader has. So the leader is
 * asked for the last one first, and the others until that one is there.
 */
export function createDeadLetterReads(
  { requests, manager }: DeadLetterReadsDependencies,
  { stream, allDeadLetters }: LogNames,
): DeadLetterReads {
  async function readSome(after: number, max: number): Promise<readonly StoredMsg[]> {
    const answers = await manager.direct.getBatch(stream, {
      seq: after + 1,
      next_by_subj: allDeadLetters,
      batch: Math.min(max, lettersMax),
      max_bytes: bytesMax,
    })
    const read: StoredMsg[] = []
    try {
      for await (const message of answers) read.push(message)
    } catch (thrown) {
      if (!isNotFound(thrown)) throw thrown
    }
    return read
  }

  /** A server that is behind has nothing where the leader has something. */
  async function readFromLeader(after: number): Promise<readonly StoredMsg[]> {
    const query = { seq: after + 1, next_by_subj: allDeadLetters }
    const message = await manager.streams.getMessage(stream, query)
    return message === null ? [] : [message]
  }

  return {
    async list(afterSequence, max) {
      const last = await requests.lastOf(allDeadLetters)
      const letters: StoredDeadLetter[] = []
      const lastSequence = last?.seq ?? 0
      let after = afterSequence
      while (after < lastSequence && letters.length < max) {
        const left = max - letters.length
        const some = await requests.ask(() => readSome(after, left))
        const found = some.length > 0 ? some : await requests.ask(() => readFromLeader(after))
        for (const { seq, subject, data } of found) {
          letters.push({ sequence: seq, lane: Number(lastTokenOf(subject)), data })
          after = seq
        }
        // They were removed meanwhile.
        if (found.length === 0) break
      }
      return letters
    },
  }
}

function isNotFound(thrown: unknown): boolean {
  return thrown instanceof JetStreamError && 'code' in thrown && thrown.code === 404
}
