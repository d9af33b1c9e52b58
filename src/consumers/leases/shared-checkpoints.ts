import { defined } from '../../base/defined.ts'
import type { SharedCheckpoints } from '../following.ts'
import type { LeaseStore } from './lease.ts'
import type { LeaseSettings } from './lease-settings.ts'
import { shareStream } from './share-stream.ts'

/**
 * Checkpoints that are kept in leases, wherever these are stored.
 *
 * @param workerId tells this process from others. Default: the machine and a random part
 */
export function createSharedCheckpoints(
  leases: LeaseStore,
  settings: LeaseSettings,
  workerId?: string,
): SharedCheckpoints {
  return {
    follow: (dependencies, options) =>
      shareStream({ ...dependencies, leases }, { ...options, ...defined({ workerId }), settings }),
  }
}
