import { SluiceError } from '../base/errors.ts'
import type { RuleDelivery } from './delivery.ts'
import { changed } from './found-files.ts'
import type { RuleCatalogue } from './rule-catalogue.ts'
import { fileText, within } from './rule-entry.ts'
import { parseMetadata } from './rule-files.ts'
import type { RuleFiles, RuleMetadata } from './rule-files.ts'
import { limitText } from './rule-loader.ts'

/**
 * Delivery settings of rules to come, as metadata without a payload. The creation of a rule assumes
 * its roles, and how it does that is a delivery setting: so these can be there first.
 *
 * Invariants: with the rules they are at most `rulesMax`; the creation of their rule uses them, and
 * empty settings or the deletion of the rule removes them.
 */
export interface SettingsAhead {
  /**
   * @returns undefined when there are none, or when the rule exists
   * @throws SluiceError InvalidRequestException (rejects): the file is not valid
   */
  read(name: string): Promise<RuleMetadata | undefined>
  /**
   * @param found the metadata that are there; undefined when there are none
   * @throws SluiceError InvalidRequestException (rejects): there are too many;
   *   ConflictingResourceUpdateException: the file changed since it was read
   */
  write(name: string, delivery: RuleDelivery, found: Buffer | undefined): Promise<void>
  /** It is no error when there are none. */
  remove(name: string, found: Buffer | undefined): Promise<void>
}

interface SettingsAheadDependencies {
  readonly files: RuleFiles
  readonly catalogue: Pick<RuleCatalogue, 'size'>
}

const parse = (name: string, bytes: Buffer | undefined): RuleMetadata | undefined =>
  bytes && within(`${name}.meta.json`, () => parseMetadata(bytes))

export function createSettingsAhead(
  { files, catalogue }: SettingsAheadDependencies,
  { rulesMax }: { readonly rulesMax: number },
): SettingsAhead {
  const remove = async (name: string, found: Buffer | undefined): Promise<void> => {
    if (found && !(await files.removeMetadata(name, found))) throw changed(name, files)
  }
  return {
    read: async (name) => {
      if ((await files.read(name)) !== undefined) return undefined
      return parse(name, await files.readMetadata(name))
    },
    remove,
    async write(name, delivery, found) {
      if (Object.keys(delivery).length === 0) return remove(name, found)
      const others = (await files.namesOfMetadataAlone()).filter((other) => other !== name)
      if (catalogue.size() + others.length >= rulesMax) {
        throw new SluiceError('InvalidRequestException', limitText(rulesMax))
      }
      const text = fileText({ ...parse(name, found), delivery })
      if (!(await files.writeMetadata(name, text, found))) throw changed(name, files)
    },
  }
}
