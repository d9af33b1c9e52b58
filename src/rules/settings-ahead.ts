import { SluiceError } from '../base/errors.ts'
import type { RuleDelivery } from './delivery.ts'
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
  /** @throws SluiceError InvalidRequestException (rejects): there are too many */
  write(name: string, delivery: RuleDelivery): Promise<void>
  /** It is no error when there are none. */
  remove(name: string): Promise<void>
}

interface SettingsAheadDependencies {
  readonly files: RuleFiles
  readonly catalogue: Pick<RuleCatalogue, 'size'>
}

export function createSettingsAhead(
  { files, catalogue }: SettingsAheadDependencies,
  { rulesMax }: { readonly rulesMax: number },
): SettingsAhead {
  const read = async (name: string): Promise<RuleMetadata | undefined> => {
    const bytes = await files.readMetadataAlone(name)
    return bytes && within(`${name}.meta.json`, () => parseMetadata(bytes))
  }
  const remove = async (name: string): Promise<void> => {
    if ((await files.namesOfMetadataAlone()).includes(name)) await files.removeMetadata(name)
  }
  return {
    read,
    remove,
    async write(name, delivery) {
      if (Object.keys(delivery).length === 0) return remove(name)
      const others = (await files.namesOfMetadataAlone()).filter((other) => other !== name)
      if (catalogue.size() + others.length >= rulesMax) {
        throw new SluiceError('InvalidRequestException', limitText(rulesMax))
      }
      await files.writeMetadata(name, fileText({ ...(await read(name)), delivery }))
    },
  }
}
