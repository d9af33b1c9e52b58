import type { Metrics } from '../telemetry/telemetry.ts'
import type { CompiledRule } from './compile-rule.ts'
import type { RuleEntry } from './rule-entry.ts'
import { createTopicIndex } from '../topics/topic-index.ts'

/**
 * The rules in force, in memory. Changes are synchronous and complete: a message sees the old rule
 * or the new one, never a mixture.
 */
export interface RuleCatalogue {
  /** Adds the rule, or replaces the rule of the same name. */
  put(entry: RuleEntry): void
  remove(name: string): void
  entry(name: string): RuleEntry | undefined
  /** Enabled rules whose filter matches, in the order of their names. */
  readonly match: (topic: string) => readonly CompiledRule[]
  /** All rules in the order of their names. */
  all(): readonly CompiledRule[]
  size(): number
}

/** @param onChange told the name of each rule that came into force, changed, or was removed */
export function createRuleCatalogue(
  metrics: Pick<Metrics, 'rules'>,
  onChange: (name: string) => void = () => undefined,
): RuleCatalogue {
  const entries = new Map<string, RuleEntry>()
  const index = createTopicIndex<CompiledRule>()
  let sorted: readonly CompiledRule[] | undefined
  let disabledCount = 0

  const takeOut = (name: string): void => {
    const rule = entries.get(name)?.rule
    if (!rule) return
    entries.delete(name)
    if (rule.disabled) disabledCount -= 1
    const filter = rule.statement.topicFilter
    if (filter !== undefined) index.remove(filter, name)
  }

  const changed = (): void => {
    sorted = undefined
    metrics.rules.set({ state: 'enabled' }, entries.size - disabledCount)
    metrics.rules.set({ state: 'disabled' }, disabledCount)
  }
  changed()

  return {
    put(entry) {
      const { rule } = entry
      takeOut(rule.name)
      entries.set(rule.name, entry)
      const filter = rule.statement.topicFilter
      if (rule.disabled) disabledCount += 1
      // A rule without FROM is reached only by its name, through Basic Ingest.
      else if (filter !== undefined) index.add(filter, rule)
      changed()
      onChange(rule.name)
    },

    remove(name) {
      if (!entries.has(name)) return
      takeOut(name)
      changed()
      onChange(name)
    },

    entry: (name) => entries.get(name),
    match: index.match,

    all() {
      sorted ??= Array.from(entries.values(), ({ rule }) => rule).toSorted((left, right) =>
        left.name < right.name ? -1 : 1,
      )
      return sorted
    },

    size: () => entries.size,
  }
}
