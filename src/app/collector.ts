import v8 from 'node:v8'

/**
 * How V8 collects garbage in a process that makes much of it, nearly all of which is dead within
 * milliseconds. Not the settings of a user (`NODE_OPTIONS`), but what holds on any machine.
 *
 * - No objects are born old. V8 notes which lines of code make objects that last, and from then on
 *   makes them in the old generation. A burst at the start, when everything waits, is enough for it
 *   to take the objects of every message for lasting ones, and never to look again: each second of
 *   10,000 messages then left 20 MiB that only a full collection finds.
 * - One thread at most marks beside the engine, where V8 has four, on two cores as well: for the 40
 *   ms of a collection they took both from the engine and from the threads that write to disk.
 *
 * What that came to is in docs/decisions/0023-the-collector.md.
 */
export const collectorFlags: readonly string[] = Object.freeze([
  '--no-allocation-site-pretenuring',
  '--concurrent-marking-max-worker-num=1',
])

/** Sets them, for this process: before the code runs that handles messages. */
export function tuneCollector(): void {
  for (const flag of collectorFlags) v8.setFlagsFromString(flag)
}
