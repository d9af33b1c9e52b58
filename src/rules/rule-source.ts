import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'
import { createRuleFiles, makeFolder } from './rule-files.ts'
import type { RuleFiles } from './rule-files.ts'
import { watchRuleFiles } from './rule-watcher.ts'
import type { RuleWatcherCallbacks, RuleWatcherDependencies } from './rule-watcher.ts'

/** Where the rules are: a folder, or the state that the nodes of a cluster share. */
export interface RuleSource {
  readonly files: RuleFiles
  /** For log lines and errors: the path of the folder. */
  readonly place: string
  /** @throws SluiceError RuleFileInvalid (rejects): the folder cannot be made */
  prepare(): Promise<void>
  /** @returns stops it. Changes are seen from the return on. */
  watch(callbacks: RuleWatcherCallbacks): () => void
}

interface FolderSourceOptions {
  readonly directory: string
  /** The rule that a new folder starts with: its name and the text of its payload file. */
  readonly sample?: { readonly name: string; readonly text: string } | undefined
}

export function createFolderSource(
  dependencies: RuleWatcherDependencies,
  { directory, sample }: FolderSourceOptions,
): RuleSource {
  const place = path.resolve(directory)
  const files = createRuleFiles(place)
  return {
    files,
    place,
    async prepare() {
      try {
        const wasAbsent = await makeFolder(place)
        if (wasAbsent && sample) await files.writePayload(sample.name, sample.text, undefined)
      } catch (thrown) {
        throw new SluiceError(
          'RuleFileInvalid',
          `the rules folder ${place} cannot be made: ${messageOf(thrown)}`,
          { cause: thrown },
        )
      }
    },
    watch: (callbacks) => watchRuleFiles(place, callbacks, dependencies),
  }
}
