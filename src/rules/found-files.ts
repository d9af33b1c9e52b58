import { SluiceError, lineOf } from '../base/errors.ts'
import type { RuleCatalogue } from './rule-catalogue.ts'
import { isMadeOf } from './rule-entry.ts'
import type { RuleEntry } from './rule-entry.ts'
import { digestOf } from './rule-faults.ts'
import type { RuleFile, RuleFiles } from './rule-files.ts'
import type { RuleLoader } from './rule-loader.ts'

/**
 * What a change of the API finds in the rules folder. Files are read before they are written, and a
 * write finds out whether they changed since.
 */
export interface FoundFiles {
  /** The rule that its files hold, which is in force. */
  readonly present: RuleEntry | undefined
  /** The files; undefined when there is no payload. */
  readonly file: RuleFile | undefined
  /** The file of the metadata, which may be there without a payload. */
  readonly metadata: Buffer | undefined
  /** Why the files cannot be used. */
  readonly problem: string | undefined
  /** Tells these files from others; undefined without a payload, or when it cannot be read. */
  readonly digest: string | undefined
}

interface FilesDependencies {
  readonly files: RuleFiles
  readonly catalogue: RuleCatalogue
  readonly loader: RuleLoader
}

/** Reads the files of a rule and brings a change that nobody has seen yet into force. */
export async function lookAtFiles(
  name: string,
  { files, catalogue, loader }: FilesDependencies,
): Promise<FoundFiles> {
  const before = catalogue.entry(name)
  let file: RuleFile | undefined
  let metadata: Buffer | undefined
  let digest: string | undefined
  let problem: string | undefined
  try {
    file = await files.read(name)
    metadata = file ? file.metadata : await files.readMetadata(name)
    digest = file && digestOf(file)
    if (!file || !before || !isMadeOf(before, file)) loader.take(name, file)
  } catch (thrown) {
    problem = lineOf(thrown)
  }
  return { present: catalogue.entry(name), file, metadata, problem, digest }
}

/** What a change leaves; undefined for a file that stays as it is. */
interface RuleTexts {
  readonly payload: string | undefined
  readonly metadata: string | undefined
}

/**
 * Writes the files of a rule, metadata first. Should the payload have changed meanwhile, or not be
 * written, the metadata are what they were.
 *
 * @param found what the files held when they were read
 * @throws SluiceError ConflictingResourceUpdateException (rejects), and what the system throws
 */
export async function writeFiles(
  name: string,
  texts: RuleTexts,
  found: { readonly payload: Uint8Array | undefined; readonly metadata: Buffer | undefined },
  files: RuleFiles,
): Promise<void> {
  const { payload, metadata } = texts
  const isNew = metadata !== undefined && found.metadata?.toString() !== metadata
  if (isNew && !(await files.writeMetadata(name, metadata, found.metadata))) throw changed(name)
  if (payload === undefined) return
  let isWritten = false
  try {
    isWritten = await files.writePayload(name, payload, found.payload)
  } finally {
    if (!isWritten && isNew) await restoreMetadata(name, metadata, found.metadata, files)
  }
  if (!isWritten) throw changed(name)
}

async function restoreMetadata(
  name: string,
  written: string,
  found: Buffer | undefined,
  files: RuleFiles,
): Promise<void> {
  const bytes = Buffer.from(written)
  // The first failure is the one to tell.
  if (found) await files.writeMetadata(name, found.toString(), bytes).catch(() => undefined)
  else await files.removeMetadata(name, bytes).catch(() => undefined)
}

export function changed(name: string): SluiceError {
  return conflict(
    `the files of rule ${name} were changed on disk meanwhile: look at the rule, then try again`,
  )
}

export function unusable(problem: string): SluiceError {
  return conflict(`${problem}: mend the file or remove it, which this request would write over`)
}

function conflict(message: string): SluiceError {
  return new SluiceError('ConflictingResourceUpdateException', message)
}
