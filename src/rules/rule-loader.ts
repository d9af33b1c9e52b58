import { SluiceError } from '../base/errors.ts'
import type { CompileRule } from './compile-rule.ts'
import type { RuleCatalogue } from './rule-catalogue.ts'
import { entryOfFile, isMadeOf } from './rule-entry.ts'
import type { RuleFaults } from './rule-faults.ts'
import type { RuleFile, RuleFiles } from './rule-files.ts'

/** Brings the files of one rule into force. The caller runs the loads of a name one by one. */
export interface RuleLoader {
  /**
   * @returns whether the rule changed; a rule whose file is gone is removed
   * @throws SluiceError InvalidRequestException, SqlParseException (rejects): naming the file that
   *   cannot be used; the rule in force stays
   */
  load(name: string): Promise<boolean>
  /** The same with the files as they were read; undefined for a rule without a payload file. */
  take(name: string, file: RuleFile | undefined): boolean
  /** Whether a rule was refused because there are too many, since this was asked last. */
  takeRefused(): boolean
}

export interface RuleLoaderDependencies {
  readonly files: RuleFiles
  readonly catalogue: RuleCatalogue
  readonly faults: RuleFaults
  readonly compile: CompileRule
}

export function createRuleLoader(
  { files, catalogue, faults, compile }: RuleLoaderDependencies,
  { rulesMax }: { readonly rulesMax: number },
): RuleLoader {
  let isRefused = false

  const bringIntoForce = (name: string, file: RuleFile): boolean => {
    const present = catalogue.entry(name)
    if (present && isMadeOf(present, file)) return false
    if (!present && catalogue.size() >= rulesMax) {
      isRefused = true
      throw new SluiceError('InvalidRequestException', `${name}.json: ${limitText(rulesMax)}`)
    }
    // Editors replace a file by a new one, whose age is not that of the rule.
    const createdAt = present?.rule.createdAt ?? file.madeAt
    catalogue.put(entryOfFile(name, file, createdAt, compile))
    return true
  }

  const take = (name: string, file: RuleFile | undefined): boolean => {
    if (!file) {
      faults.clear(name)
      const wasPresent = catalogue.entry(name) !== undefined
      catalogue.remove(name)
      return wasPresent
    }
    try {
      const isChanged = bringIntoForce(name, file)
      faults.clear(name)
      return isChanged
    } catch (thrown) {
      faults.note(name, file)
      throw thrown
    }
  }

  return {
    async load(name) {
      let file: RuleFile | undefined
      try {
        file = await files.read(name)
      } catch (thrown) {
        faults.note(name, undefined)
        throw thrown
      }
      return take(name, file)
    },
    take,
    takeRefused() {
      const was = isRefused
      isRefused = false
      return was
    },
  }
}

export function limitText(rulesMax: number): string {
  return `there are ${rulesMax} rules already, as many as SLUICE_RULES_MAX allows`
}

/** @param rule undefined when it was removed */
export function changeText(
  name: string,
  rule: unknown,
  { words }: Pick<RuleFiles, 'words'>,
): string {
  return `rule ${name} ${rule === undefined ? 'was removed' : 'was changed'} ${words.changed}`
}
