import path from 'node:path'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { isAbsent, isUnreadable, nodeFileReads } from '../../storage/file-reads.ts'
import type { FileReads } from '../../storage/file-reads.ts'
import { invalidFile, readPublicFile } from '../../storage/secret-file.ts'

/**
 * The content of the policies folder now, as far as it can be read.
 *
 * Invariants:
 * - A missing file and an unreadable file are never confused: a missing file ends what its policy
 *   allows and denies, an unreadable one denies (policy-folder.ts).
 * - Unreadable files are not cached, so the next check tries them again.
 * - Finding that nothing has changed needs no file descriptor, so a process that has none left
 *   keeps its policies. Reading needs at most `readsAtOnceMax`.
 */
export interface FolderContent {
  /** Changes whenever a file changes, or becomes readable or unreadable. */
  readonly version: string
  readonly files: readonly FolderFile[]
  /** Why the folder cannot be listed; its files are not known then. */
  readonly problem?: string | undefined
}

export interface FolderFile {
  /** Without its folder. */
  readonly name: string
  readonly version: string
  readonly content: FileContent
}

type FileContent =
  | { readonly kind: 'text'; readonly text: string }
  /** The file is not usable: too large, not UTF-8, or not a regular file. */
  | { readonly kind: 'invalid'; readonly problem: string }
  /** The file cannot be read. */
  | { readonly kind: 'unreadable'; readonly problem: string }

export const policyFolderLimits = Object.freeze({
  policiesMax: 500,
  /** Bytes of one file, including whitespace. */
  fileBytesMax: 1_048_576,
})

export const metaSuffix = '.meta.json'
/** The names of policies in AWS IoT; a leading dot marks a file that is being written. */
export const policyNameForm = /^(?!\.)(?!.*\.meta$)[\w+=,.@-]{1,128}$/
const readsAtOnceMax = 16

/** @returns a function that reads changed files; it resolves with undefined without a folder */
export function createFolderReader(
  directory: string,
  reads: FileReads = nodeFileReads,
): () => Promise<FolderContent | undefined> {
  let known = new Map<string, FolderFile>()
  let listed: { readonly version: string; readonly names: readonly string[] } | undefined

  /** @throws the error of the system: the folder has changed and cannot be listed */
  async function list(): Promise<readonly string[] | undefined> {
    try {
      const { dev, ino, mtimeNs, ctimeNs } = await reads.stat(directory, { bigint: true })
      const version = [dev, ino, mtimeNs, ctimeNs].join(':')
      try {
        const names = await listPolicyFiles(directory, reads)
        listed = names && { version, names }
        return names
      } catch (thrown) {
        if (isUnreadable(thrown) && listed?.version === version) return listed.names
        throw thrown
      }
    } catch (thrown) {
      if (isAbsent(thrown)) return undefined
      throw thrown
    }
  }

  async function readFile(name: string): Promise<FolderFile | undefined> {
    const file = path.join(directory, name)
    try {
      const stats = await reads.stat(file, { bigint: true })
      const version = [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':')
      const before = known.get(name)
      if (before?.version === version) return before
      const content = await contentOf(file, stats.size, reads)
      return content && { name, version, content }
    } catch (thrown) {
      if (isAbsent(thrown) && !(await isLink(file, reads))) return undefined
      return unreadable(name, messageOf(thrown))
    }
  }

  return async () => {
    try {
      const names = await list()
      if (!names) return undefined
      const files: FolderFile[] = []
      for (let first = 0; first < names.length; first += readsAtOnceMax) {
        const some = names.slice(first, first + readsAtOnceMax)
        files.push(...(await Promise.all(some.map(readFile))).filter((file) => file !== undefined))
      }
      const isRead = ({ content }: FolderFile) => content.kind !== 'unreadable'
      known = new Map(files.filter(isRead).map((file) => [file.name, file]))
      return { version: files.map(({ name, version }) => `${name}:${version}`).join('\n'), files }
    } catch (thrown) {
      if (!isUnreadable(thrown)) throw thrown
      const problem = messageOf(thrown)
      return { version: `unreadable: ${problem}`, files: [], problem }
    }
  }
}

/**
 * Names of files in their order, policies and targets; undefined while there is no folder.
 *
 * @throws SluiceError IdentityFileInvalid: too many, or no folder
 */
export async function listPolicyFiles(
  directory: string,
  reads: FileReads = nodeFileReads,
): Promise<readonly string[] | undefined> {
  const { policiesMax } = policyFolderLimits
  try {
    const names = (await reads.readdir(directory)).filter((name) => policyOf(name) !== undefined)
    if (names.filter((name) => !name.endsWith(metaSuffix)).length > policiesMax) {
      throw invalidFile(directory, `holds more than ${policiesMax} policies`)
    }
    if (names.length > 2 * policiesMax) {
      throw invalidFile(directory, `holds more than ${policiesMax} files *${metaSuffix}`)
    }
    return names.toSorted()
  } catch (thrown) {
    if (isAbsent(thrown)) return undefined
    throw thrown instanceof SluiceError ? thrown : invalidFile(directory, messageOf(thrown), thrown)
  }
}

/** The name of the policy that a file belongs to; undefined for any other file. */
export function policyOf(file: string): string | undefined {
  if (!file.endsWith('.json')) return undefined
  const name = file.slice(0, file.endsWith(metaSuffix) ? -metaSuffix.length : -'.json'.length)
  return policyNameForm.test(name) ? name : undefined
}

/** @returns undefined when the file is not there any more */
async function contentOf(
  file: string,
  size: bigint,
  reads: FileReads,
): Promise<FileContent | undefined> {
  const { fileBytesMax } = policyFolderLimits
  if (size > fileBytesMax) {
    const problem = `${file}: has ${size} bytes; at most ${fileBytesMax} are read`
    return { kind: 'invalid', problem }
  }
  try {
    const read = await readPublicFile(file, reads)
    return read && { kind: 'text', text: read.text }
  } catch (thrown) {
    if (isUnreadable(thrown)) throw thrown
    return { kind: 'invalid', problem: messageOf(thrown) }
  }
}

/** A dangling link is in the folder although its content is not known. */
async function isLink(file: string, reads: FileReads): Promise<boolean> {
  try {
    await reads.lstat(file)
    return true
  } catch (thrown) {
    return !isAbsent(thrown)
  }
}

const unreadable = (name: string, problem: string): FolderFile => ({
  name,
  version: `unreadable: ${problem}`,
  content: { kind: 'unreadable', problem },
})
