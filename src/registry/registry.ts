import path from 'node:path'
import { openCertificates } from './certificates.ts'
import type { Certificates } from './certificates.ts'
import { openThings } from './things.ts'
import type { Things } from './things.ts'

/** The registry of AWS IoT: things and certificates, as files in the data folder. */
export interface Registry {
  readonly things: Things
  readonly certificates: Certificates
}

/** The folder in the data folder, with one folder for each kind of resource. */
export const registryFolderName = 'registry'

type RegistryDependencies = Omit<Parameters<typeof openCertificates>[0], 'thingsOf'>

/** @throws what the system throws (rejects): a folder cannot be made or listed */
export async function openRegistry(
  dependencies: RegistryDependencies,
  folder: string,
): Promise<Registry> {
  const things = await openThings(
    { ...dependencies, hasCertificate: (id) => certificates.has(id) },
    path.join(folder, 'things'),
  )
  const certificates = await openCertificates(
    { ...dependencies, thingsOf: things.thingsOf },
    path.join(folder, 'certificates'),
  )
  return { things, certificates }
}
