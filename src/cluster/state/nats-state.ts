import { JetStreamApiError } from '@nats-io/jetstream'
import type { Clock } from '../../base/clock.ts'
import { followBucket } from './follow-bucket.ts'
import type { BucketDependencies } from './follow-bucket.ts'
import { entryOf, hasNobodyListened, reasonOf, stateOf } from './bucket-entries.ts'
import { AnswerLost, stateUnavailable } from './shared-state.ts'
import type { SharedState } from './shared-state.ts'

/** JetStream, "wrong last sequence": the key has another revision. */
const wrongLastSequence = 10_071
/** The same text while a write of the key is on its way to the other servers. */
const writeInProcess = 10_164
const inProcessRetryMs = 50
const inProcessAttemptsMax = 20

/**
 * The shared state in a bucket of NATS, which is a stream with one subject for each key. Loaded
 * only by nodes of a cluster.
 */
export function createNatsState({ connection, bucket, clock }: BucketDependencies): SharedState {
  return {
    get: (key) =>
      asked(async () => {
        const found = await bucket.get(key)
        return found?.operation === 'PUT' ? entryOf(found) : undefined
      }),
    create: (key, value) => written(clock, () => bucket.create(key, value), undefined),
    put: (key, value, revision) =>
      written(clock, () => bucket.update(key, value, revision), undefined),
    delete: (key, revision) =>
      written(
        clock,
        async () => {
          await bucket.delete(key, { previousSeq: revision })
          return true
        },
        false,
      ),
    lastRevision: () => asked(async () => (await stateOf(bucket)).last_seq),
    watch: (watcher) => followBucket({ connection, bucket, clock }, watcher),
  }
}

/** @throws SluiceError ServiceUnavailableException (rejects) */
export async function asked<Result>(ask: () => Promise<Result>): Promise<Result> {
  try {
    return await ask()
  } catch (thrown) {
    throw stateUnavailable(reasonOf(thrown), thrown)
  }
}

/** @param refused what stands for a write over another revision */
export async function written<Result, Refused>(
  clock: Clock,
  write: () => Promise<Result>,
  refused: Refused,
): Promise<Result | Refused> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await write()
    } catch (thrown) {
      if (!(thrown instanceof JetStreamApiError)) throw lostOrUnavailable(thrown)
      if (thrown.code === wrongLastSequence) return refused
      const isAgain = thrown.code === writeInProcess && attempt < inProcessAttemptsMax
      if (!isAgain) throw stateUnavailable(reasonOf(thrown), thrown)
    }
    // What is on its way decides: it may be an earlier attempt of this very write.
    await clock.sleep(inProcessRetryMs)
  }
}

/** Without an answer the write may have been made, unless nobody listened. */
export function lostOrUnavailable(thrown: unknown): Error {
  const reason = reasonOf(thrown)
  if (hasNobodyListened(thrown)) return stateUnavailable(reason, thrown)
  return new AnswerLost(reason, { cause: thrown })
}
