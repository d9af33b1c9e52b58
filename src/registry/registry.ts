import path from 'node:path'
import type { Logger } from '../telemetry/telemetry.ts'
import { openCertificates } from './certificates.ts'
import type { Certificates } from './certificates.ts'
import { openRecordFiles } from './record-files.ts'
import type { OpenRecords } from './records.ts'
import { openThings } from './things.ts'
import type { Things } from './things.ts'

/**
 * The registry of AWS IoT: things and certificates, as files in the data folder or in the state
 * that the nodes of a cluster share.
 */
export interface Registry {
  readonly things: Things
  readonly certificates: Certificates
}

/** The folder in the data folder, with one folder for each kind of resource. */
export const registryFolderName = 'registry'
/** The file in it that notes that policies are for registered certificates alone. */
export const scopeFileName = 'policies-for-registered'

interface RegistryDependencies extends Omit<
  Parameters<typeof openCertificates>[0],
  'thingsOf' | 'openRecords'
> {
  readonly logger: Pick<Logger, 'error'>
  /** Undefined: the records are files of the folder. */
  readonly openRecords?: OpenRecords | undefined
}

/** @throws what the system throws (rejects): a folder cannot be made or listed */
export async function openRegistry(
  { logger, openRecords: openOthers, ...dependencies }: RegistryDependencies,
  folder: string,
): Promise<Registry> {
  const openFiles: OpenRecords = (kind, form) =>
    openRecordFiles({ logger }, { ...form, folder: path.join(folder, kind) })
  const openRecords = openOthers ?? openFiles
  const things = await openThings({
    ...dependencies,
    openRecords,
    hasCertificate: (id) => certificates.has(id),
  })
  const certificates = await openCertificates({
    ...dependencies,
    openRecords,
    thingsOf: things.thingsOf,
  })
  return { things, certificates }
}
