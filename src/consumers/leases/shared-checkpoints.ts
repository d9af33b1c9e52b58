import type { SharedCheckpoints } from '../following.ts'
import type { LeaseStore } from './lease.ts'
import type { LeaseSettings } from './lease-settings.ts'
import { shareStream } from './share-stream.ts'

/** Checkpoints for `consume` that are kept in leases, wherever these are stored. */
export function createSharedCheckpoints(
  leases: LeaseStore,
  settings: LeaseSettings,
): SharedCheckpoints {
  return {
    follow: (dependencies, options) =>
      shareStream({ ...dependencies, leases }, { ...options, settings }),
  }
}
