import type { Clock } from '../base/clock.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { KeyedQueue } from '../base/keyed-queue.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import type { CompileRule, CompiledRule } from './compile-rule.ts'
import { checkDeliveryFits } from './delivery.ts'
import type { RuleDelivery } from './delivery.ts'
import type { TopicRulePayload } from './payload.ts'
import type { RuleCatalogue } from './rule-catalogue.ts'
import { changed, lookAtFiles, unusable } from './found-files.ts'
import type { FoundFiles } from './found-files.ts'
import { entryOfPayload, within } from './rule-entry.ts'
import type { RuleEntry } from './rule-entry.ts'
import type { RuleFaults } from './rule-faults.ts'
import { parseMetadata } from './rule-files.ts'
import type { RuleFiles, RuleMetadata } from './rule-files.ts'
import { changeText, limitText } from './rule-loader.ts'
import type { RuleLoader } from './rule-loader.ts'
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
  readonly faults: RuleFaults
  readonly loader: RuleLoader
  readonly queue: KeyedQueue
  readonly compile: CompileRule
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info'>
}

interface Found extends FoundFiles {
  /**
   * Whether the files hold what nobody had been told of when the change was asked for: another
   * version, or one that cannot be used.
   */
  readonly isNews: boolean
}

/** Updates of one rule that may wait for the running one. */
const updatesWaitingMax = 16

export function createRuleWriter(
  dependencies: RuleWriterDependencies,
  { ahead, rulesMax }: { readonly ahead: SettingsAhead; readonly rulesMax: number },
): RuleWriter {
  const { files, catalogue, compile, clock } = dependencies
  /** Rules that are not yet in the catalogue, or have just come into it. */
  const creating = new Set<string>()
  const update = createUpdater(dependencies)

  const bringIntoForce = createEnforcer(dependencies)
  const replaceNow = createReplacer(dependencies)
  const replaceWith = (
    name: string,
    changesOf: (rule: CompiledRule) => RuleChanges,
    options: { readonly undoes: boolean },
  ) => update(name, (found) => replaceNow(name, found, changesOf, options))

  return {
    create: (name, payload, tags) =>
      update(name, async (found) => {
        const present = found.present?.rule ?? catalogue.held(name)?.rule
        if (present) throw alreadyExists(present)
        if (found.problem !== undefined) throw unusable(found.problem, files)
        const createdAt = Math.floor(clock.wallMs() / 1_000)
        const metadata = { ...laidMetadata(name, found), createdAt, tags }
        const entry = entryOfPayload(name, payload, metadata, compile)
        // AWS declares no LimitExceededException for CreateTopicRule; a client would not know it.
        if (catalogue.size() + comingOf(creating, catalogue) >= rulesMax) {
          throw new SluiceError('InvalidRequestException', limitText(rulesMax))
        }
        creating.add(name)
        try {
          return await bringIntoForce(entry, found, { withPayload: true })
        } finally {
          creating.delete(name)
        }
      }),

    replace: (name, payload) => replaceWith(name, () => ({ payload }), { undoes: true }),

    setDisabled: (name, disabled) =>
      replaceWith(
        name,
        ({ payload }) => ({ payload: Object.freeze({ ...payload, ruleDisabled: disabled }) }),
        { undoes: false },
      ),

    setDelivery: (name, delivery) =>
      update(name, async (found) => {
        refuseHeld(catalogue, name)
        if (found.problem !== undefined) throw unusable(found.problem, files)
        if (!found.present) {
          await onDisk(name, () => ahead.write(name, delivery, found.metadata))
          return delivery
        }
        checkDeliveryFits(delivery, found.present.rule.payload)
        const rule = await replaceNow(name, found, () => ({ delivery }), { undoes: true })
        return rule.delivery ?? {}
      }),

    setTags: (name, change) =>
      replaceWith(name, ({ tags }) => ({ tags: change(tags) }), { undoes: false }),

    delete: (name) =>
      update(name, async ({ present, file, metadata, problem, isNews }) => {
        refuseHeld(catalogue, name)
        if (!present) {
          // A file that cannot be used is no rule, and not for the API to remove.
          if (problem === undefined) await onDisk(name, () => ahead.remove(name, metadata))
          return
        }
        if (isNews || !file) throw changed(name, files)
        await onDisk(name, async () => {
          if (!(await files.remove(name, file))) throw changed(name, files)
        })
        catalogue.remove(name)
      }),
  }
}

/** @returns a function that replaces parts of a rule, in its turn */
function createReplacer(dependencies: RuleWriterDependencies) {
  const { files, catalogue, compile } = dependencies
  const bringIntoForce = createEnforcer(dependencies)
  /** @param undoes whether the change would undo one on disk that the client has not seen */
  return async (
    name: string,
    found: Found,
    changesOf: (rule: CompiledRule) => RuleChanges,
    { undoes }: { readonly undoes: boolean },
  ): Promise<CompiledRule> => {
    refuseHeld(catalogue, name)
    const { rule, metadata, payloadText, foundOnDisk } = existingEntry(catalogue, name)
    if (found.problem !== undefined) throw unusable(found.problem, files)
    if (undoes && found.isNews) throw changed(name, files)
    const { payload, ...changes } = changesOf(rule)
    const kept = { ...metadata, createdAt: rule.createdAt, ...changes }
    const entry = entryOfPayload(name, payload ?? rule.payload, kept, compile, foundOnDisk)
    if (payload) return bringIntoForce(entry, found, { withPayload: true })
    // The payload file stays as it was written, perhaps by hand.
    return bringIntoForce({ ...entry, payloadText }, found, { withPayload: false })
  }
}

/** @returns a function that writes an entry to disk and then puts it in force */
function createEnforcer({ files, catalogue }: RuleWriterDependencies) {
  return async (
    entry: RuleEntry,
    { file, metadata }: FoundFiles,
    { withPayload }: { readonly withPayload: boolean },
  ): Promise<CompiledRule> => {
    const { rule, payloadText, metadataText } = entry
    const texts = { payload: withPayload ? payloadText : undefined, metadata: metadataText }
    await onDisk(rule.name, async () => {
      const found = { payload: file?.payload, metadata }
      if (!(await files.write(rule.name, texts, found))) throw changed(rule.name, files)
    })
    catalogue.put(entry)
    return rule
  }
}

function comingOf(creating: ReadonlySet<string>, catalogue: RuleCatalogue): number {
  return [...creating].filter((name) => !catalogue.entry(name)).length
}

/**
 * @returns a function that runs the changes of a rule one after the other, also those of other
 *   engines, and tells each what the files hold
 */
function createUpdater(dependencies: RuleWriterDependencies) {
  const { files, catalogue, faults, queue, logger } = dependencies
  return async <Result>(
    name: string,
    change: (found: Found) => Promise<Result> | Result,
  ): Promise<Result> => {
    if (queue.length(name) > updatesWaitingMax) {
      throw new SluiceError(
        'ConflictingResourceUpdateException',
        `${updatesWaitingMax} other updates of rule ${name} are waiting`,
      )
    }
    // What the client can have seen: other changes may come to wait before this one.
    const seen = catalogue.entry(name)?.foundOnDisk
    const told = faults.known(name)
    const run = async () => {
      const before = catalogue.entry(name)
      const found = await lookAtFiles(name, dependencies)
      const { present } = found
      if (present !== before) logger.info({ rule: name }, changeText(name, present?.rule, files))
      const isTold = found.problem === undefined || (told !== undefined && told === found.digest)
      const isUnseen = files.words.isByHand && present?.foundOnDisk !== seen
      return change({ ...found, isNews: isUnseen || !isTold })
    }
    return queue.run(name, () => locked(name, files, run))
  }
}

/** Tells a failure of the change from one of the lock. */
async function locked<Result>(
  name: string,
  files: RuleFiles,
  run: () => Promise<Result>,
): Promise<Result> {
  const ran = await onDisk(name, () =>
    files.withLock(name, () =>
      run().then(
        (result) => ({ result }),
        (thrown: unknown) => ({ thrown }),
      ),
    ),
  )
  if ('thrown' in ran) throw ran.thrown
  return ran.result
}

/**
 * Metadata that are there before their rule: laid there by hand, or left by a crash. What is known
 * of the rule itself is made anew.
 *
 * @throws SluiceError InvalidRequestException: they cannot be used
 */
function laidMetadata(name: string, { metadata }: FoundFiles): RuleMetadata {
  return metadata ? within(`${name}.meta.json`, () => parseMetadata(metadata)) : {}
}

/** @throws SluiceError UnauthorizedException */
export function existingEntry(catalogue: RuleCatalogue, name: string): RuleEntry {
  const entry = catalogue.entry(name)
  if (entry) return entry
  // As on AWS for a rule that does not exist: clients without access learn nothing about a rule.
  throw new SluiceError('UnauthorizedException', `Access to topic rule '${name}' was denied`)
}

/** @throws SluiceError ConflictingResourceUpdateException: the rule in force has no file */
function refuseHeld(catalogue: RuleCatalogue, name: string): void {
  const held = catalogue.entry(name) ? undefined : catalogue.held(name)
  if (!held) return
  throw new SluiceError(
    'ConflictingResourceUpdateException',
    `rule ${name} is held by ${held.origin}: change it there`,
  )
}

function alreadyExists({ name, arn }: CompiledRule): SluiceError {
  return new SluiceError('ResourceAlreadyExistsException', `a rule named ${name} exists already`, {
    details: { resourceId: name, resourceArn: arn },
  })
}

/** @throws SluiceError InternalException (rejects), and the one that `work` throws */
async function onDisk<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (thrown) {
    if (thrown instanceof SluiceError && thrown.code !== 'IdentityFileInvalid') throw thrown
    throw new SluiceError(
      'InternalException',
      `rule ${name} cannot be written: ${messageOf(thrown)}`,
      { cause: thrown },
    )
  }
}
