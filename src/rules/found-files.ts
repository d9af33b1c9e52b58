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

export function changed(name: string, { words }: Pick<RuleFiles, 'words'>): SluiceError {
  return conflict(words.changedMeanwhile(name))
}

export function unusable(problem: string, { words }: Pick<RuleFiles, 'words'>): SluiceError {
  return conflict(`${problem}: ${words.remedy}`)
}

function conflict(message: string): SluiceError {
  return new SluiceError('ConflictingResourceUpdateException', message)
}
