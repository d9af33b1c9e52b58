import v8 from 'node:v8'

/**
 * V8's garbage collector settings for a process that allocates much, nearly all of it for
 * milliseconds. They hold on any machine; users can still set `NODE_OPTIONS`.
 *
 * - No pretenuring. V8 notes which lines of code allocate objects that survive, and then allocates
 *   them in the old generation. A burst at the start, when everything waits, makes it treat the
 *   objects of every message as survivors, and it never checks again: each second of 10,000
 *   messages then left 20 MiB that only a full collection frees.
 * - At most one concurrent marking thread. V8 uses four, also on two cores: for the 40 ms of a
 *   collection they took both cores from the engine and from the threads that write to disk.
 *
 * The measurements are in docs/decisions/0023-the-collector.md.
 */
export const collectorFlags: readonly string[] = Object.freeze([
  '--no-allocation-site-pretenuring',
  '--concurrent-marking-max-worker-num=1',
])

/** Sets the flags for this process, before any code that handles messages runs. */
export function tuneCollector(): void {
  for (const flag of collectorFlags) v8.setFlagsFromString(flag)
}
