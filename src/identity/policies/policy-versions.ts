import { stat } from 'node:fs/promises'
import path from 'node:path'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Value } from 'typebox/value'
import { messageOf } from '../../base/errors.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import { removeDurably } from '../../storage/durable-file.ts'
import { ifPresent } from '../../storage/file-reads.ts'
import { invalidFile, readPublicFile, writePublicFile } from '../../storage/secret-file.ts'

/**
 * The versions of a policy and its tags, in `<folder>/versions/<policy>.json`. The policy that is
 * in force is the file `<folder>/<policy>.json`, so what that file says is the default version,
 * whoever wrote it. A policy without a file of versions has one, with the id 1.
 */
export const versionsSchema = Type.Object({
  defaultVersionId: Type.Integer(),
  nextVersionId: Type.Integer(),
  /** All times are epoch milliseconds. */
  createdMs: Type.Number(),
  versions: Type.Array(
    Type.Object({
      versionId: Type.Integer(),
      createdMs: Type.Number(),
      /** As it was given. */
      document: Type.String(),
    }),
  ),
  tags: Type.Record(Type.String(), Type.String()),
})
type StoredVersions = Static<typeof versionsSchema>
export type PolicyVersions = Readonly<Omit<StoredVersions, 'versions' | 'tags'>> & {
  readonly versions: readonly PolicyVersion[]
  readonly tags: Readonly<Record<string, string>>
}
export type PolicyVersion = Readonly<StoredVersions['versions'][number]>

/** AWS IoT Core quotas: versions of one policy. */
export const policyVersionsMax = 5

const fileOf = (directory: string, name: string) => path.join(directory, 'versions', `${name}.json`)
const documentFileOf = (directory: string, name: string) => path.join(directory, `${name}.json`)

/**
 * @returns undefined when there is no such policy
 * @throws SluiceError IdentityFileInvalid (rejects)
 */
export async function readVersions(
  directory: string,
  name: string,
): Promise<PolicyVersions | undefined> {
  const documentFile = documentFileOf(directory, name)
  const document = (await readPublicFile(documentFile))?.text
  if (document === undefined) return undefined
  const stored = await readStored(fileOf(directory, name))
  if (stored === undefined) {
    const createdMs = (await ifPresent(stat(documentFile)))?.mtimeMs ?? 0
    return {
      defaultVersionId: 1,
      nextVersionId: 2,
      createdMs,
      versions: [{ versionId: 1, createdMs, document }],
      tags: {},
    }
  }
  const versions = stored.versions.map((version) =>
    version.versionId === stored.defaultVersionId ? { ...version, document } : version,
  )
  return { ...stored, versions }
}

/**
 * Writes the versions first: after a crash between the two files, the one that is in force is shown
 * as the default version.
 *
 * @throws SluiceError IdentityFileInvalid (rejects)
 */
export async function writeVersions(
  directory: string,
  name: string,
  versions: PolicyVersions,
): Promise<void> {
  await writePublicFile(fileOf(directory, name), `${JSON.stringify(versions, null, 2)}\n`)
  const { document } = defaultOf(versions)
  const file = documentFileOf(directory, name)
  if ((await readPublicFile(file))?.text !== document) await writePublicFile(file, document)
}

export async function removeVersions(directory: string, name: string): Promise<void> {
  await removeDurably(documentFileOf(directory, name))
  const file = fileOf(directory, name)
  if ((await ifPresent(stat(file))) !== undefined) await removeDurably(file)
}

export function defaultOf({ versions, defaultVersionId }: PolicyVersions): PolicyVersion {
  const found = versions.find(({ versionId }) => versionId === defaultVersionId)
  if (found) return found
  throw new Error(`there is no version ${defaultVersionId}`)
}

async function readStored(file: string): Promise<StoredVersions | undefined> {
  const read = await readPublicFile(file)
  if (read === undefined) return undefined
  try {
    const stored: unknown = JSON.parse(read.text)
    if (Value.Check(versionsSchema, stored)) return stored
    throw schemaProblem(Value.Errors(versionsSchema, stored))
  } catch (thrown) {
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}
