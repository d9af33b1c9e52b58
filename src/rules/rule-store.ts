import type { Clock } from '../base/clock.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import type { CompileRule, CompiledRule } from './compile-rule.ts'
import type { RuleDelivery } from './delivery.ts'
import { createKeyedQueue } from '../base/keyed-queue.ts'
import { createHeldRules } from './held-rules.ts'
import type { HeldRuleChanges, HeldRuleDefinition } from './held-rules.ts'
import { createRuleCatalogue } from './rule-catalogue.ts'
import type { RuleCatalogue } from './rule-catalogue.ts'
import { pageOfRules } from './page-of-rules.ts'
import type { RulePage, RuleQuery } from './page-of-rules.ts'
import { createLastGoodRules } from './last-good-rules.ts'
import { createRuleFaults } from './rule-faults.ts'
import { createRuleLoader } from './rule-loader.ts'
import { createRuleReloader } from './rule-reloader.ts'
import { createSettingsAhead } from './settings-ahead.ts'
import { createFolderSource } from './rule-source.ts'
import type { RuleSource } from './rule-source.ts'
import { createRuleWriter, existingEntry } from './rule-writer.ts'
import type { RuleWriter } from './rule-writer.ts'

/**
 * The rules: a folder of files (described in rule-files.ts), and the same rules compiled in memory.
 *
 * Invariants:
 * - A rule is on disk before it is in memory. It comes into force in the turn in which its write
 *   ends.
 * - Writes and reloads of one rule run one after the other. A reload reads the folder as it is at
 *   that moment, so that the order of events does not matter.
 * - A change of the API sees the files before it writes them: nothing that was edited on disk, or
 *   written by another engine, is lost unseen.
 * - A file that cannot be used is reported, and the last good version of its rule stays in force,
 *   also when the process starts again. A rule that never could be used stops the start, or is left
 *   out, as the options say.
 *
 * The operations of RuleWriter resolve when the change is on disk and in force. They reject with a
 * SluiceError: InvalidRequestException, SqlParseException, ResourceAlreadyExistsException (create),
 * UnauthorizedException (replace and setDisabled of an unknown rule; delete does nothing then),
 * ConflictingResourceUpdateException, InternalException.
 */
export interface RuleStore extends RuleWriter {
  /** Enabled rules whose filter matches, in the order of their names. */
  readonly match: (topic: string) => readonly CompiledRule[]
  /** Enabled or not. */
  byName(name: string): CompiledRule | undefined
  /**
   * The delivery settings of a rule, or those that wait for the creation of one; undefined when
   * there is neither.
   *
   * @throws SluiceError InvalidRequestException (rejects): the file of settings that wait is not
   *   valid
   */
  delivery(name: string): Promise<RuleDelivery | undefined>
  /** All rules in the order of their names. */
  all(): readonly CompiledRule[]
  /** @throws SluiceError UnauthorizedException: no such rule */
  get(name: string): CompiledRule
  /** @throws SluiceError InvalidRequestException: not a token of a list */
  list(query: RuleQuery): RulePage
  /**
   * Replaces the rules that are in force without a file in the folder. The API shows them and does
   * not change them: ConflictingResourceUpdateException says what holds them. A rule of the folder
   * comes before one of the same name.
   *
   * @returns what has changed; a rule that cannot be used keeps its last good version
   */
  readonly hold: (definitions: readonly HeldRuleDefinition[]) => HeldRuleChanges
  /** The number of rules whose files cannot be used now. */
  invalidCount(): number
  /** Reads all files again, because what kept some of them from use may be over. Never throws. */
  rescan(): void
  /** Stops watching, and resolves when all writes are done. */
  close(): Promise<void>
}

export interface RuleStoreDependencies {
  readonly compile: CompileRule
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'rules' | 'ruleReloadFailures'>
  readonly clock: Clock
}

export interface RuleStoreOptions {
  readonly directory: string
  /** Where the rules are instead of the folder. */
  readonly source?: RuleSource | undefined
  readonly rulesMax: number
  /** Whether changes on disk are reloaded. Default: true. */
  readonly watch?: boolean | undefined
  /**
   * What becomes of a rule that cannot be used at the start and never could: `refuse` by default.
   */
  readonly onInvalid?: 'refuse' | 'leaveOut' | undefined
  /** Where copies of the rules in force are kept. Absent: nowhere. */
  readonly lastGoodFolder?: string | undefined
  /** The rule that a new folder starts with: its name and the text of its payload file. */
  readonly sample?: { readonly name: string; readonly text: string } | undefined
}

/**
 * Creates the folder when it is absent, reads all rules and starts watching.
 *
 * @throws SluiceError RuleFileInvalid (rejects): one line for each file that cannot be used
 */
export async function openRuleStore(
  dependencies: RuleStoreDependencies,
  options: RuleStoreOptions,
): Promise<RuleStore> {
  const { rulesMax, onInvalid = 'refuse', lastGoodFolder: folder } = options
  const source = options.source ?? createFolderSource(dependencies, options)
  const { files, place } = source
  const queue = createKeyedQueue()
  const faults = createRuleFaults()
  const catalogue = createRuleCatalogue(dependencies.metrics, (name) => {
    lastGood?.follow(name)
    warnOfRule(name, { ...dependencies, catalogue }, place)
    if (catalogue.size() < rulesMax && loader.takeRefused()) reloader.retryRefused()
  })
  const lastGood =
    folder === undefined
      ? undefined
      : createLastGoodRules(
          { ...dependencies, entryOf: (name) => catalogue.entry(name) },
          { folder, rulesDir: place },
        )
  const shared = { ...dependencies, files, catalogue, faults, queue }
  const loader = createRuleLoader(shared, { rulesMax })
  const reloader = createRuleReloader(
    { ...shared, loader, lastGood },
    { place, rulesMax, onInvalid },
  )

  await source.prepare()
  // Watching starts before reading, so that no change falls between the two.
  const stopWatching =
    options.watch === false
      ? () => undefined
      : source.watch({
          onRule: (name) => reloader.changedOnDisk(name),
          onAll: () => reloader.rescan(),
        })
  const close = async (): Promise<void> => {
    stopWatching()
    await queue.idle()
    await lastGood?.idle()
  }
  try {
    await reloader.loadAll()
  } catch (thrown) {
    await close()
    throw thrown
  }

  const ahead = createSettingsAhead(shared, { rulesMax })

  return {
    ...createRuleWriter({ ...shared, loader }, { ahead, rulesMax }),
    match: catalogue.match,
    byName: catalogue.inForce,
    hold: createHeldRules(shared, { rulesMax }),
    async delivery(name) {
      const entry = catalogue.entry(name)
      return entry ? (entry.rule.delivery ?? {}) : (await ahead.read(name))?.delivery
    },
    all: () => catalogue.all(),
    get: (name) => catalogue.inForce(name) ?? existingEntry(catalogue, name).rule,
    invalidCount: () => faults.count,
    rescan: () => reloader.rescan(),
    list: (query) => pageOfRules(catalogue.all(), query),
    close,
  }
}

/** Logs what a person should know of a rule that has come into force, or changed. */
function warnOfRule(
  name: string,
  { catalogue, logger }: Pick<RuleStoreDependencies, 'logger'> & { catalogue: RuleCatalogue },
  place: string,
): void {
  for (const warning of catalogue.inForce(name)?.warnings ?? []) {
    const [line] = warning.split('\n', 1)
    logger.warn({ rule: name }, `rule ${name}: ${line}`)
  }
  const held = catalogue.entry(name) && catalogue.held(name)
  if (!held) return
  const text = `rule ${name}: its file in ${place} is in force, and not ${held.origin}`
  logger.warn({ rule: name }, text)
}
