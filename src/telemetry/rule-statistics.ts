import { otherLabel } from './metric-kinds.ts'
import type { Sample } from './metric-kinds.ts'

/**
 * What became of the messages and actions of each rule since the process started. The path of every
 * message only adds to numbers here; metrics and the API read them when somebody asks.
 *
 * Records are counted by the ledger of the outbox, which is on disk.
 */

/** Why an action, or the statement of a rule, failed last. */
export interface LastFailure {
  /** Epoch milliseconds. */
  readonly atMs: number
  readonly code: string
  readonly reason: string
  /**
   * `failed`: nothing was made of the message. `retried`: the record waits and is sent again.
   * `givenUp`: the record went to the error action or became a dead letter.
   */
  readonly state: 'failed' | 'retried' | 'givenUp'
}

interface ActionStatistics {
  /** Messages for which the action could not be carried out. */
  failed: number
  /** Messages that the action republished. */
  republished: number
  /** Records of the action that were given up. */
  givenUp: number
  lastFailure: LastFailure | undefined
}

interface RuleStatistics {
  matched: number
  unmatched: number
  failed: number
  /** Messages whose payload the rule reads as JSON, and which are not JSON. */
  parseErrors: number
  /** Messages of which the rule made records that were dropped, because there was no room. */
  throttled: number
  /** Of the statement: no action was tried. */
  lastFailure: LastFailure | undefined
  /** By what metrics call the action: its index, or `errorAction`. */
  readonly actions: Map<string, ActionStatistics>
}

export interface RuleStatisticsBook {
  /** By the name of the rule, from the first that was noted to the last. */
  readonly byRule: ReadonlyMap<string, RuleStatistics>
  /** Those of a rule; they are made at the first call. */
  of(ruleName: string): RuleStatistics
  /** Those of an action; they are made at the first call. */
  ofAction(ruleName: string, action: string): ActionStatistics
  /** Messages by the rule that they name and that is not there or disabled. */
  readonly notFound: ReadonlyMap<string, number>
  /** @param ruleName as a client gives it */
  ruleNotFound(ruleName: string): void
}

/** Rules that are remembered, also those that no longer exist; the one noted first is forgotten. */
const rulesMax = 20_000
/** Clients choose the names of rules that do not exist: further ones count as `other`. */
const notFoundMax = 100
/** Characters of a reason that are kept. */
const reasonLengthMax = 1_024

export function createRuleStatistics(): RuleStatisticsBook {
  const byRule = new Map<string, RuleStatistics>()
  const notFound = new Map<string, number>()

  function of(ruleName: string): RuleStatistics {
    const known = byRule.get(ruleName)
    if (known !== undefined) return known
    const [first] = byRule.keys()
    if (byRule.size >= rulesMax && first !== undefined) byRule.delete(first)
    const made = noStatistics()
    byRule.set(ruleName, made)
    return made
  }

  return {
    byRule,
    of,
    ofAction(ruleName, action) {
      const { actions } = of(ruleName)
      const known = actions.get(action)
      if (known !== undefined) return known
      const made = { failed: 0, republished: 0, givenUp: 0, lastFailure: undefined }
      actions.set(action, made)
      return made
    },
    notFound,
    ruleNotFound(ruleName) {
      const isKnown = notFound.has(ruleName) || notFound.size < notFoundMax
      const name = isKnown ? ruleName : otherLabel
      notFound.set(name, (notFound.get(name) ?? 0) + 1)
    },
  }
}

const noStatistics = (): RuleStatistics => ({
  matched: 0,
  unmatched: 0,
  failed: 0,
  parseErrors: 0,
  throttled: 0,
  lastFailure: undefined,
  actions: new Map(),
})

/** A failure to be kept; its reason may be of any length. */
export function lastFailureOf(
  state: LastFailure['state'],
  atMs: number,
  { code, message }: { readonly code: string; readonly message: string },
): LastFailure {
  return { atMs, code, reason: message.slice(0, reasonLengthMax), state }
}

/** The samples of `sluice_rule_evaluations_total`. */
export function* evaluationsOf({
  byRule,
}: RuleStatisticsBook): Generator<Sample<'rule' | 'result'>> {
  for (const [rule, { matched, unmatched, failed }] of byRule) {
    yield { labels: { rule, result: 'matched' }, value: matched }
    yield { labels: { rule, result: 'unmatched' }, value: unmatched }
    yield { labels: { rule, result: 'failed' }, value: failed }
  }
}

/** The samples of `sluice_action_failures_total`. */
export function* actionFailuresOf({
  byRule,
}: RuleStatisticsBook): Generator<Sample<'rule' | 'action'>> {
  for (const [rule, { actions }] of byRule) {
    for (const [action, { failed }] of actions) yield { labels: { rule, action }, value: failed }
  }
}
