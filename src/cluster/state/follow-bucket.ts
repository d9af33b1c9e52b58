/**
 * Follows a bucket of NATS.
 *
 * A watch of the client may stop without a word when servers change. So the last revision is asked
 * for every second, from the leader: it shows whether the store can be reached, whether the watch
 * tells what there is, and whether the bucket is still the same. A watch that falls behind begins
 * again with all entries.
 */
import type { KV, KvEntry } from '@nats-io/kv'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Clock } from '../../base/clock.ts'
import { entryOf, reasonOf, stateOf } from './bucket-entries.ts'
import type { StateWatcher } from './shared-state.ts'

export interface BucketDependencies {
  readonly connection: Pick<NatsConnection, 'status'>
  /** Its values are read from the leader. */
  readonly bucket: KV
  readonly clock: Clock
}

const checkMs = 1_000
/** Checks for which a watch may be behind before it begins again. */
const checksBehindMax = 2

/** @returns stops it */
export function followBucket(
  { connection, bucket, clock }: BucketDependencies,
  watcher: StateWatcher,
): () => void {
  const stopping = new AbortController()
  const { signal } = stopping
  const watch = createWatch(bucket, watcher, signal)
  const pause = createPause(clock)
  const isBehind = createBehindCheck(watch)
  let isLost = false
  const lose = (reason: string): void => {
    isLost = true
    if (!signal.aborted) watcher.lost(reason)
  }

  async function check(): Promise<void> {
    try {
      const { last_seq: last } = await stateOf(bucket)
      if (signal.aborted) return
      if (isLost) watcher.found()
      isLost = false
      // The watch before it has ended, so one that could not begin is tried at the next check.
      if (isBehind(last) || !watch.hasBegun()) await watch.begin()
    } catch (thrown) {
      lose(reasonOf(thrown))
    }
  }
  async function guard(): Promise<void> {
    while (!signal.aborted) {
      await check()
      if (!signal.aborted) await pause.wait(checkMs)
    }
  }
  async function followConnection(): Promise<void> {
    for await (const { type } of connection.status()) {
      if (signal.aborted) return
      if (type === 'disconnect') lose('the connection to NATS is lost')
      if (type === 'reconnect') pause.end()
    }
  }

  void followConnection().catch(() => undefined)
  void guard()
  return () => {
    stopping.abort()
    watch.end()
    pause.end()
  }
}

type BucketWatch = ReturnType<typeof createWatch>

/** One watch after the other: what an earlier one still tells is passed over. */
function createWatch(bucket: KV, watcher: StateWatcher, signal: AbortSignal) {
  let told = 0
  let isPresent = false
  let hasBegun = false
  let generation = 0
  let end: (() => void) | undefined

  const arrive = (entry: KvEntry): void => {
    if (entry.operation === 'PUT') watcher.entry(entryOf(entry))
    else watcher.deleted(entry.key, entry.revision)
    told = entry.revision
  }

  return {
    /** The last revision that was told. */
    told: () => told,
    isPresent: () => isPresent,
    hasBegun: () => hasBegun,
    end: () => end?.(),
    async begin(): Promise<void> {
      end?.()
      hasBegun = false
      const own = (generation += 1)
      const { last_seq: wanted, messages } = await stateOf(bucket)
      const entries = await bucket.watch()
      const isOver = () => signal.aborted || own !== generation
      if (isOver()) {
        entries.stop()
        return
      }
      end = () => entries.stop()
      hasBegun = true
      isPresent = false
      told = 0
      watcher.begin()
      const present = (isLast: boolean) => {
        if (isPresent || (told < wanted && !isLast)) return
        isPresent = true
        told = Math.max(told, wanted)
        watcher.present(told)
      }
      present(messages === 0)
      const tellAll = async () => {
        for await (const entry of entries) {
          if (isOver()) return
          arrive(entry)
          // Nothing is pending behind it.
          present(entry.delta === 0)
        }
      }
      // The checks find out that it has ended.
      void tellAll().catch(() => undefined)
    },
  }
}

/** @returns whether a watch has to begin again, when the last revision of the bucket is this one */
function createBehindCheck({ told, isPresent }: BucketWatch): (last: number) => boolean {
  let checksBehind = checksBehindMax
  let seen = 0
  return (last) => {
    const hasMoved = told() !== seen
    seen = told()
    const isBehind = !isPresent() || last !== told()
    checksBehind = isBehind && !hasMoved ? checksBehind + 1 : 0
    // A bucket that was made anew has lower revisions.
    if (checksBehind <= checksBehindMax && last >= told()) return false
    checksBehind = 0
    return true
  }
}

/** Waits that can be ended early. */
function createPause(clock: Pick<Clock, 'after'>) {
  let wake: (() => void) | undefined
  return {
    wait: (ms: number): Promise<void> =>
      new Promise((resolve) => {
        const cancel = clock.after(ms, resolve)
        wake = () => {
          cancel()
          resolve()
        }
      }),
    end: () => wake?.(),
  }
}
