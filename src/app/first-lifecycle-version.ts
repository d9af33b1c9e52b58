import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { StateView } from '../cluster/state/cluster-state.ts'
import { writeDurably } from '../storage/durable-file.ts'
import { readIfPresent } from '../storage/file-reads.ts'
import type { Logger } from '../telemetry/telemetry.ts'

/** More connections than one client makes before the process ends. */
const versionsOfProcess = 1_000_000

/**
 * The version number of clients that connect for the first time since the process began. It is
 * higher after each start, so that the versions of a client never fall: consumers of lifecycle
 * events sort by them. In a new data folder it is 0, as on AWS.
 *
 *     lifecycle.json   {"firstVersion": <of the next process>}
 */
export async function takeFirstLifecycleVersion(
  { clock, logger }: { readonly clock: Clock; readonly logger: Pick<Logger, 'warn'> },
  directory: string,
): Promise<number> {
  const file = path.join(directory, 'lifecycle.json')
  try {
    const firstVersion = versionOf(await readIfPresent(file))
    await writeDurably(file, JSON.stringify({ firstVersion: firstVersion + versionsOfProcess }))
    return firstVersion
  } catch (thrown) {
    logger.warn(
      { file, problem: messageOf(thrown) },
      'the version numbers of lifecycle events begin with the time, because their file is unusable',
    )
    return clock.wallMs()
  }
}

/** How long a start waits for the store before it asks again. */
const retryMs = 1_000

/**
 * The same for a node of a cluster, by revisions of what the nodes share: each start of a node has
 * one that is higher than all before. It waits while the store cannot be changed, such as when its
 * stream has no leader.
 *
 * @throws an AbortError: the signal ended the wait (rejects)
 */
export async function takeSharedLifecycleVersion(
  starts: Pick<StateView, 'get' | 'put' | 'caughtUp'>,
  clock: Pick<Clock, 'sleep'>,
  signal: AbortSignal = new AbortController().signal,
): Promise<number> {
  for (;;) {
    signal.throwIfAborted()
    try {
      const entry = await starts.put('start', '{}', starts.get('start')?.revision)
      if (entry !== undefined) return entry.revision * versionsOfProcess
      // Another node started just then.
      await starts.caughtUp()
    } catch (thrown) {
      if (!isUnavailable(thrown)) throw thrown
      await clock.sleep(retryMs, signal)
    }
  }
}

const isUnavailable = (thrown: unknown): boolean =>
  thrown instanceof SluiceError && thrown.code === 'ServiceUnavailableException'

function versionOf(bytes: Buffer | undefined): number {
  if (bytes === undefined) return 0
  const { firstVersion } = JSON.parse(bytes.toString()) as { readonly firstVersion?: unknown }
  if (typeof firstVersion === 'number' && Number.isSafeInteger(firstVersion)) return firstVersion
  throw new Error('it holds no firstVersion')
}
