import type { Metrics } from '../telemetry/telemetry.ts'
import type { CompiledRule } from './compile-rule.ts'
import type { RuleEntry } from './rule-entry.ts'
import { createTopicIndex } from '../topics/topic-index.ts'

/**
 * The rules in force, in memory: those of the folder, and those that are held elsewhere. Where both
 * have a name, the rule of the folder is in force. Changes are synchronous and complete: a message
 * sees the old rule or the new one, never a mixture.
 */
export interface RuleCatalogue {
  /** Adds the rule of the folder, or replaces the one of the same name. */
  put(entry: RuleEntry): void
  /** Removes the rule of the folder. */
  remove(name: string): void
  /** The rule of the folder. */
  entry(name: string): RuleEntry | undefined
  /** Replaces all rules that are held elsewhere. */
  hold(rules: readonly HeldRule[]): void
  held(name: string): HeldRule | undefined
  readonly inForce: (name: string) => CompiledRule | undefined
  /** Enabled rules whose filter matches, in the order of their names. */
  readonly match: (topic: string) => readonly CompiledRule[]
  /** All rules in the order of their names. */
  all(): readonly CompiledRule[]
  size(): number
}

/** A rule that has no file in the folder. */
export interface HeldRule {
  readonly rule: CompiledRule
  /** What holds it, for people: `ReadingsRule of template.yaml`. */
  readonly origin: string
}

/** @param onChange told the name of each rule that came into force, changed, or was removed */
export function createRuleCatalogue(
  metrics: Pick<Metrics, 'rules'>,
  onChange: (name: string) => void = () => undefined,
): RuleCatalogue {
  const entries = new Map<string, RuleEntry>()
  let heldRules: ReadonlyMap<string, HeldRule> = new Map()
  /** Those of both, in force. */
  const rules = new Map<string, CompiledRule>()
  const index = createTopicIndex<CompiledRule>()
  let sorted: readonly CompiledRule[] | undefined
  let disabledCount = 0

  const takeOut = (name: string): void => {
    const rule = rules.get(name)
    if (!rule) return
    rules.delete(name)
    if (rule.disabled) disabledCount -= 1
    const filter = rule.statement.topicFilter
    if (filter !== undefined) index.remove(filter, name)
  }

  const takeIn = (rule: CompiledRule): void => {
    rules.set(rule.name, rule)
    const filter = rule.statement.topicFilter
    if (rule.disabled) disabledCount += 1
    // A rule without FROM is reached only by its name, through Basic Ingest.
    else if (filter !== undefined) index.add(filter, rule)
  }

  const count = (): void => {
    sorted = undefined
    metrics.rules.set({ state: 'enabled' }, rules.size - disabledCount)
    metrics.rules.set({ state: 'disabled' }, disabledCount)
  }
  count()

  /** Brings into force what holds for a name now. */
  const settle = (name: string): void => {
    const rule = entries.get(name)?.rule ?? heldRules.get(name)?.rule
    if (rule !== rules.get(name)) {
      takeOut(name)
      if (rule) takeIn(rule)
      count()
    }
    onChange(name)
  }

  return {
    put(entry) {
      entries.set(entry.rule.name, entry)
      settle(entry.rule.name)
    },

    remove(name) {
      if (entries.delete(name)) settle(name)
    },

    entry: (name) => entries.get(name),

    hold(wanted) {
      const before = heldRules
      heldRules = new Map(wanted.map((held) => [held.rule.name, held]))
      for (const name of new Set([...before.keys(), ...heldRules.keys()])) {
        if (before.get(name)?.rule !== heldRules.get(name)?.rule) settle(name)
      }
    },

    held: (name) => heldRules.get(name),
    inForce: (name) => rules.get(name),
    match: index.match,

    all() {
      sorted ??= [...rules.values()].toSorted((left, right) => (left.name < right.name ? -1 : 1))
      return sorted
    },

    size: () => rules.size,
  }
}
