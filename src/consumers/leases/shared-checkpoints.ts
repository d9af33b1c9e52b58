import { defined } from '../../base/defined.ts'
import type { SharedCheckpoints } from '../following.ts'
import type { LeaseStore } from './lease.ts'
import type { LeaseSettings } from './lease-settings.ts'
import { shareStream } from './share-stream.ts'

interface Worker {
  /** Default: the name of the machine and a random part. */
  readonly workerId?: string
  readonly isBusier?: (owner: string) => boolean
}

/** Checkpoints that are kept in leases, wherever these are stored. */
export function createSharedCheckpoints(
  leases: LeaseStore,
  settings: LeaseSettings,
  { workerId, isBusier }: Worker = {},
): SharedCheckpoints {
  const worker = defined({ workerId, isBusier })
  return {
    follow: (dependencies, options) =>
      shareStream({ ...dependencies, leases }, { ...options, ...worker, settings }),
  }
}
