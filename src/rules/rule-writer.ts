import type { Clock } from '../base/clock.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { CompileRule, CompiledRule } from './compile-rule.ts'
import { checkDeliveryFits } from './delivery.ts'
import type { RuleDelivery } from './delivery.ts'
import type { KeyedQueue } from '../base/keyed-queue.ts'
import type { TopicRulePayload } from './payload.ts'
import type { RuleCatalogue } from './rule-catalogue.ts'
import { entryOfPayload } from './rule-entry.ts'
import type { RuleEntry } from './rule-entry.ts'
import type { RuleFiles, RuleMetadata } from './rule-files.ts'
import { limitText } from './rule-loader.ts'
import type { SettingsAhead } from './settings-ahead.ts'

/** The writing half of a rule store: a change of the API is on disk first, and then in force. */
export interface RuleWriter {
  create(name: string, payload: TopicRulePayload, tags: RuleTags): Promise<CompiledRule>
  replace(name: string, payload: TopicRulePayload): Promise<CompiledRule>
  setDisabled(name: string, disabled: boolean): Promise<CompiledRule>
  /**
   * Also before the rule exists: the settings then wait for its creation, and empty ones are none.
   *
   * @returns the settings that hold now
   * @throws SluiceError InvalidRequestException (rejects): settings of an action that the rule
   *   lacks; more settings wait than there may be rules
   */
  setDelivery(name: string, delivery: RuleDelivery): Promise<RuleDelivery>
  setTags(name: string, change: (tags: RuleTags) => RuleTags): Promise<CompiledRule>
  /** Also removes delivery settings that wait for the creation of a rule. */
  delete(name: string): Promise<void>
}

type RuleTags = Readonly<Record<string, string>>

/** The parts of a rule to replace. The others stay. */
interface RuleChanges extends Pick<RuleMetadata, 'tags' | 'delivery'> {
  readonly payload?: TopicRulePayload | undefined
}

interface RuleWriterDependencies {
  readonly files: RuleFiles
  readonly catalogue: RuleCatalogue
  readonly queue: KeyedQueue
  readonly compile: CompileRule
  readonly clock: Clock
}

/** Updates of one rule that may wait for the running one. */
const updatesWaitingMax = 16

export function createRuleWriter(
  { files, catalogue, queue, compile, clock }: RuleWriterDependencies,
  { ahead, rulesMax }: { readonly ahead: SettingsAhead; readonly rulesMax: number },
): RuleWriter {
  let creating = 0

  const update = async <Result>(name: string, task: () => Promise<Result>): Promise<Result> => {
    if (queue.length(name) > updatesWaitingMax) {
      throw new SluiceError(
        'ConflictingResourceUpdateException',
        `${updatesWaitingMax} other updates of rule ${name} are waiting`,
      )
    }
    return queue.run(name, task)
  }

  const bringIntoForce = createEnforcer({ files, catalogue })

  const replaceNow = async (name: string, changesOf: (rule: CompiledRule) => RuleChanges) => {
    const { rule, metadata, payloadText } = existingEntry(catalogue, name)
    const { payload, ...changed } = changesOf(rule)
    const kept = { ...metadata, createdAt: rule.createdAt, ...changed }
    const entry = entryOfPayload(name, payload ?? rule.payload, kept, compile)
    if (payload) return bringIntoForce(entry, { withPayload: true })
    // The payload file stays as it was written, perhaps by hand.
    return bringIntoForce({ ...entry, payloadText }, { withPayload: false })
  }
  const replaceWith = (name: string, changesOf: (rule: CompiledRule) => RuleChanges) =>
    update(name, () => replaceNow(name, changesOf))

  return {
    create: (name, payload, tags) =>
      update(name, async () => {
        const present = catalogue.entry(name)
        if (present) throw alreadyExists(present.rule)
        // AWS declares no LimitExceededException for CreateTopicRule; a client would not know it.
        if (catalogue.size() + creating >= rulesMax) {
          throw new SluiceError('InvalidRequestException', limitText(rulesMax))
        }
        creating += 1
        try {
          const createdAt = Math.floor(clock.wallMs() / 1_000)
          const metadata = { ...(await ahead.read(name)), createdAt, tags }
          const entry = entryOfPayload(name, payload, metadata, compile)
          return await bringIntoForce(entry, { withPayload: true })
        } finally {
          creating -= 1
        }
      }),

    replace: (name, payload) => replaceWith(name, () => ({ payload })),

    setDisabled: (name, disabled) =>
      replaceWith(name, ({ payload }) => ({
        payload: Object.freeze({ ...payload, ruleDisabled: disabled }),
      })),

    setDelivery: (name, delivery) =>
      update(name, async () => {
        if (!catalogue.entry(name)) {
          await onDisk(name, () => ahead.write(name, delivery))
          return delivery
        }
        const rule = await replaceNow(name, ({ payload }) => {
          checkDeliveryFits(delivery, payload)
          return { delivery }
        })
        return rule.delivery ?? {}
      }),

    setTags: (name, change) => replaceWith(name, ({ tags }) => ({ tags: change(tags) })),

    delete: (name) =>
      update(name, async () => {
        if (!catalogue.entry(name)) return onDisk(name, () => ahead.remove(name))
        await onDisk(name, () => files.remove(name))
        catalogue.remove(name)
      }),
  }
}

/** @returns a function that writes an entry to disk and then puts it in force */
function createEnforcer({ files, catalogue }: Pick<RuleWriterDependencies, 'files' | 'catalogue'>) {
  return async (
    entry: RuleEntry,
    { withPayload }: { readonly withPayload: boolean },
  ): Promise<CompiledRule> => {
    const { rule, payloadText, metadataText } = entry
    await onDisk(rule.name, async () => {
      const present = catalogue.entry(rule.name)
      if (metadataText !== undefined && present?.metadataText !== metadataText) {
        await files.writeMetadata(rule.name, metadataText)
      }
      if (withPayload) await files.writePayload(rule.name, payloadText)
    })
    catalogue.put(entry)
    return rule
  }
}

/** @throws SluiceError UnauthorizedException */
export function existingEntry(catalogue: RuleCatalogue, name: string): RuleEntry {
  const entry = catalogue.entry(name)
  if (entry) return entry
  // As on AWS for a rule that does not exist: clients without access learn nothing about a rule.
  throw new SluiceError('UnauthorizedException', `Access to topic rule '${name}' was denied`)
}

function alreadyExists({ name, arn }: CompiledRule): SluiceError {
  return new SluiceError('ResourceAlreadyExistsException', `a rule named ${name} exists already`, {
    details: { resourceId: name, resourceArn: arn },
  })
}

async function onDisk(name: string, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    throw new SluiceError(
      'InternalException',
      `rule ${name} cannot be written: ${messageOf(thrown)}`,
      { cause: thrown },
    )
  }
}
