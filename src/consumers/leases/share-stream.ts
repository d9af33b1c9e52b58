import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import { createLimitedLog } from '../../telemetry/limited-log.ts'
import type { WarningLog } from '../../telemetry/limited-log.ts'
import type { FollowOptions, FollowedStream, StreamReads } from '../following.ts'
import { unlessThrottled } from '../retry-backoff.ts'
import type { LeaseStore, LeaseTable } from './lease.ts'
import { createLeaseDiscovery } from './lease-discovery.ts'
import type { LeaseDiscovery } from './lease-discovery.ts'
import type { LeaseSettings } from './lease-settings.ts'
import { createLeaseTaker } from './lease-taker.ts'
import { createReadLeasedShard } from './read-leased-shard.ts'

interface ShareDependencies {
  readonly reads: StreamReads
  readonly leases: LeaseStore
  readonly clock: Clock
  readonly logger: WarningLog
  /** From 0 to below 1. */
  readonly random?: () => number
}

interface ShareOptions extends FollowOptions {
  readonly settings: LeaseSettings
  /** Default: the name of the machine and a random part. */
  readonly workerId?: string
  /** Whether a process with its share of this stream is to give a shard up all the same. */
  readonly isBusier?: ((owner: string) => boolean) | undefined
}

const discoveryIntervalMsDefault = 60_000
/** Looks at all leases, and renewals of those that are held, in a failover time. */
const looksInFailover = 2
/** Where a look is no call. */
const quickLooksInFailover = 10
const renewalsInFailover = 3
const jitterShare = 0.2

/**
 * Processes the shards of a stream together with other processes: each shard is read by the one
 * that has its lease, parents before children. A process that stops gives its shards back; one that
 * dies, or stands still, loses them after the failover time.
 *
 * @returns once each shard has a lease: no record that is put from then on is skipped
 * @throws SluiceError LeaseTableUnusable, and errors of the client (rejects)
 */
export async function shareStream(
  dependencies: ShareDependencies,
  options: ShareOptions,
): Promise<FollowedStream> {
  const { reads, leases, clock } = dependencies
  const { application, signal } = options
  const table = await unlessThrottled(dependencies, signal, async () => {
    const { arn: streamArn, createdMs } = await reads.describeStream(signal)
    const scope = { application, streamArn, streamCreatedMs: createdMs }
    return leases.openLeases(scope, clock, signal)
  })
  const failed = new AbortController()
  const stop = AbortSignal.any([signal, failed.signal])
  const discovery = createLeaseDiscovery({ reads, table }, { ...options, signal: stop })
  try {
    await unlessThrottled(dependencies, signal, () => discovery.discover())
  } catch (thrown) {
    table.close()
    throw thrown
  }
  const running = { ...options, signal: stop, failed }
  const done = run({ ...dependencies, table, discovery }, running).finally(() => table.close())
  return { positioned: Promise.resolve(), done }
}

interface RunDependencies extends ShareDependencies {
  readonly table: LeaseTable
  readonly discovery: LeaseDiscovery
}

async function run(
  dependencies: RunDependencies,
  options: ShareOptions & { readonly failed: AbortController },
): Promise<void> {
  const { clock, random = Math.random, discovery, table } = dependencies
  const { settings, signal, failed, discoveryIntervalMs = discoveryIntervalMsDefault } = options
  let failure: { readonly thrown: unknown } | undefined
  function fail(thrown: unknown): void {
    failure ??= { thrown }
    failed.abort()
  }
  /** Ends the pause before the next look at the leases: a shard has ended, or was given up. */
  let hurry = new AbortController()
  const hurryUp = () => hurry.abort()
  signal.addEventListener('abort', hurryUp, { once: true })
  const readShard = createReadLeasedShard(dependencies, options)
  const taker = createLeaseTaker(
    { ...dependencies, random },
    {
      workerId: `${hostname()}:${randomUUID()}`,
      ...options,
      read: (lease, held) => readShard(lease, held).catch(fail).finally(hurryUp),
    },
  )
  table.onWritten?.((lease) => {
    if (taker.isOffered(lease)) hurryUp()
  })
  const looksAFailover = table.known ? quickLooksInFailover : looksInFailover
  const repeat = createRepeat(dependencies, fail)
  const pause = (ms: number, until: AbortSignal) =>
    clock.sleep(ms * (1 + jitterShare * (random() - 0.5)), until)
  const finished = new AbortController()

  const renewals = repeat('leases cannot be renewed now', finished.signal, async () => {
    await clock.sleep(settings.failoverMs / renewalsInFailover, finished.signal)
    await taker.renew()
  })
  const looks = repeat('the leases of a stream cannot be listed now', signal, async () => {
    await pause(settings.failoverMs / looksAFailover, hurry.signal)
    hurry = new AbortController()
    if (!signal.aborted) await taker.look()
  })
  const discoveries = repeat('the shards of a stream cannot be listed now', signal, async () => {
    await pause(discoveryIntervalMs, signal)
    if (!signal.aborted) await discovery.discover()
  })
  hurryUp()
  await Promise.all([looks, discoveries])
  await taker.ended()
  finished.abort()
  await renewals
  if (failure) throw failure.thrown
}

/** @returns a function that repeats work until a signal; a failure that may pass costs one time */
function createRepeat(
  { clock, logger }: { readonly clock: Clock; readonly logger: WarningLog },
  fail: (thrown: unknown) => void,
) {
  const log = createLimitedLog({ logger, clock })
  return async (text: string, until: AbortSignal, work: () => Promise<void>): Promise<void> => {
    while (!until.aborted) {
      try {
        await work()
      } catch (thrown) {
        if (until.aborted) return
        if (thrown instanceof SluiceError) return fail(thrown)
        log.warnOnce(text, { err: thrown }, text)
      }
    }
  }
}
