import path from 'node:path'
import { removeDurably } from '../../storage/durable-file.ts'
import { withFileLock } from '../../storage/file-lock.ts'
import { ifPresent, nodeFileReads } from '../../storage/file-reads.ts'
import { writePublicFile } from '../../storage/secret-file.ts'
import { targetsOf } from './policy-attachments.ts'
import { createFolderReader, listPolicyFiles, metaSuffix } from './policy-folder-reader.ts'
import type { FolderContent } from './policy-folder-reader.ts'
import type { PolicyTarget } from './policy-targets.ts'
import { readVersions, removeVersions, writeVersions } from './policy-versions.ts'
import type { PolicyVersions } from './policy-versions.ts'
import type { FileReads } from '../../storage/file-reads.ts'

/** Where policies are kept: a folder, or the state that the nodes of a cluster share. */
export interface PolicyRecords {
  /** For log lines and errors: the path of the folder. */
  readonly place: string
  /** Whether there is a folder, perhaps an empty one. */
  isMade(): Promise<boolean>
  /** Names in their order. */
  names(): Promise<readonly string[]>
  read(name: string): Promise<PolicyRecord | undefined>
  /** The targets alone; of a policy that is not there it has none. */
  targetsOf(name: string): Promise<readonly PolicyTarget[]>
  /**
   * Replaces a policy by what `edit` makes of it. Changes of one policy come one after the other,
   * also those of other processes, so `edit` may be called again.
   *
   * @param edit its result is undefined for a policy that is removed
   * @throws what `edit` throws, and SluiceError IdentityFileInvalid (rejects)
   */
  change(name: string, edit: EditPolicy): Promise<void>
  /** The documents and targets that are to be enforced; undefined without a folder. */
  readonly content: () => Promise<FolderContent | undefined>
}

export interface PolicyRecord {
  readonly versions: PolicyVersions
  readonly targets: readonly PolicyTarget[]
}

type EditPolicy = (present: PolicyRecord | undefined) => PolicyRecord | undefined

/** The files that policy-folder.ts and policy-versions.ts describe. */
export function createPolicyFiles(directory: string, reads?: FileReads): PolicyRecords {
  const read = async (name: string): Promise<PolicyRecord | undefined> => {
    const versions = await readVersions(directory, name)
    return versions && { versions, targets: await targetsOf(directory, name) }
  }
  const metaFile = (name: string) => path.join(directory, name + metaSuffix)

  async function write(name: string, now: PolicyRecord | undefined, next: PolicyRecord) {
    if (next.versions !== now?.versions) await writeVersions(directory, name, next.versions)
    if (next.targets === (now?.targets ?? noTargets)) return
    const text = JSON.stringify({ targets: next.targets }, undefined, 2)
    await writePublicFile(metaFile(name), `${text}\n`)
  }

  return {
    place: directory,
    isMade: async () => (await ifPresent(nodeFileReads.stat(directory))) !== undefined,
    async names() {
      const files = (await listPolicyFiles(directory)) ?? []
      return files
        .filter((file) => !file.endsWith(metaSuffix))
        .map((file) => file.slice(0, -'.json'.length))
    },
    read,
    targetsOf: (name) => targetsOf(directory, name),
    change: (name, edit) =>
      withFileLock(metaFile(name), async () => {
        const now = await read(name)
        const next = edit(now)
        if (next) return write(name, now, next)
        if (!now) return
        await removeDurably(metaFile(name))
        await removeVersions(directory, name)
      }),
    content: createFolderReader(directory, reads),
  }
}

/** The targets of a policy that is attached to none. */
export const noTargets: readonly PolicyTarget[] = Object.freeze([])
