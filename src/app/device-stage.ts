import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { ComparedValues } from '../cluster/state/compared-values.ts'
import { createDeviceServices } from '../device-services/device-services.ts'
import type { DeviceServices } from '../device-services/device-services.ts'
import { openShadowStore, shadowsFolderName } from '../device-services/shadows/shadow-store.ts'
import { createShadows } from '../device-services/shadows/shadows.ts'
import type { Shadows } from '../device-services/shadows/shadows.ts'
import type { ShadowStore } from '../device-services/shadows/shadow-store.ts'
import type { CallExternal } from '../sql/externals/external-request.ts'
import type { DataFolder } from '../storage/data-folder.ts'
import type { Logger } from '../telemetry/telemetry.ts'

/** The services that devices reach by reserved topics, with what they keep on disk. */
interface DeviceStage {
  readonly services: DeviceServices
  readonly shadows: Shadows
  close(): Promise<void>
}

interface DeviceStageDependencies {
  readonly folder: DataFolder
  readonly clock: Clock
  readonly logger: Logger
  readonly beginsAnew?: boolean | undefined
  /** Shadows that nodes of a cluster share. Undefined: they are in the folder. */
  readonly shadowValues?: ComparedValues | undefined
}

/** @throws SluiceError DataFolderDamaged, DataFolderUnusable (rejects) */
export async function openDeviceStage({
  folder,
  clock,
  logger,
  beginsAnew,
  shadowValues,
}: DeviceStageDependencies): Promise<DeviceStage> {
  const store = shadowValues
    ? await openShared(shadowValues)
    : await openOwn({ folder, clock, beginsAnew })
  const shadows = createShadows({ store, clock, logger })
  return { services: createDeviceServices({ shadows }), shadows, close: () => store.close() }
}

async function openOwn({
  folder,
  clock,
  beginsAnew,
}: Pick<DeviceStageDependencies, 'folder' | 'clock' | 'beginsAnew'>): Promise<ShadowStore> {
  const directory = path.join(folder.directory, shadowsFolderName)
  const wasMade = folder.hasMade(shadowsFolderName)
  const store = await openShadowStore({ clock }, directory, { wasMade, beginsAnew })
  await folder.noteMade(shadowsFolderName)
  return store
}

async function openShared(values: ComparedValues): Promise<ShadowStore> {
  const { createSharedShadows } = await import('../device-services/shadows/shared-shadows.ts')
  return createSharedShadows(values)
}

/** `get_thing_shadow` reads the shadows here, and asks elsewhere for one that is not here. */
export function withShadows(shadows: Pick<Shadows, 'read'>, others: CallExternal): CallExternal {
  return async (request, signal) => {
    const isShadow = request.function === 'get_thing_shadow'
    const shadow = isShadow ? await shadows.read(request.thingName, request.shadowName) : undefined
    return shadow ?? others(request, signal)
  }
}
