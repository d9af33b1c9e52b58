import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { createDeviceServices } from '../device-services/device-services.ts'
import type { DeviceServices } from '../device-services/device-services.ts'
import { openShadowStore, shadowsFolderName } from '../device-services/shadows/shadow-store.ts'
import { createShadows } from '../device-services/shadows/shadows.ts'
import type { Shadows } from '../device-services/shadows/shadows.ts'
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
}

/** @throws SluiceError DataFolderDamaged, DataFolderUnusable (rejects) */
export async function openDeviceStage({
  folder,
  clock,
  logger,
  beginsAnew,
}: DeviceStageDependencies): Promise<DeviceStage> {
  const store = await openShadowStore({ clock }, path.join(folder.directory, shadowsFolderName), {
    wasMade: folder.hasMade(shadowsFolderName),
    beginsAnew,
  })
  await folder.noteMade(shadowsFolderName)
  const shadows = createShadows({ store, clock, logger })
  return { services: createDeviceServices({ shadows }), shadows, close: () => store.close() }
}

/** `get_thing_shadow` reads the shadows here, and asks elsewhere for one that is not here. */
export function withShadows(shadows: Pick<Shadows, 'read'>, others: CallExternal): CallExternal {
  return async (request, signal) => {
    const isShadow = request.function === 'get_thing_shadow'
    const shadow = isShadow ? shadows.read(request.thingName, request.shadowName) : undefined
    return shadow ?? others(request, signal)
  }
}
