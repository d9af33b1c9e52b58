import { systemClock } from '../../../src/base/clock.ts'
import type { Clock } from '../../../src/base/clock.ts'
import type { LastValues } from '../../../src/cluster/state/last-values.ts'
import { openSharedRetained } from '../../../src/ingress/kept/shared-retained.ts'
import type { SharedRetained } from '../../../src/ingress/kept/shared-retained.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { atTheEnd } from '../../helpers/at-the-end.ts'

/** The retained messages of a cluster, as one node sees them. They end with the test. */
export async function joinRetained(
  values: LastValues,
  clock: Clock = systemClock,
  limits: { readonly retainedMax?: number; readonly retainedBytesMax?: number } = {},
): Promise<SharedRetained> {
  const logger = createMemoryLogger(() => undefined)
  const { retainedMax = 10_000, retainedBytesMax = 64 * 1024 * 1024 } = limits
  const joined = await openSharedRetained(
    { values, clock, logger },
    { retainedMax, retainedBytesMax },
  )
  atTheEnd(() => joined.close())
  return joined
}
