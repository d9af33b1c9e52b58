import { call } from '../../api/engine.ts'

export interface ListedRule {
  readonly ruleName: string
  readonly topicPattern?: string
  readonly ruleDisabled: boolean
}

interface LastFailure {
  readonly atMs: number
  readonly code: string
  readonly reason: string
}

interface Statistics {
  readonly ruleName: string
  readonly evaluations: Readonly<Record<'matched' | 'unmatched' | 'failed', number>>
  readonly lastFailure?: LastFailure
  readonly actions: readonly { readonly lastFailure?: LastFailure }[]
}

/** A rule with what is known of its messages. */
export interface CountedRule extends ListedRule {
  /** Messages since the start of the engine; absent where the access key may not see them. */
  readonly evaluations?: Statistics['evaluations']
  /** The latest failure of the rule or of one of its actions. */
  readonly lastFailure?: LastFailure
}

/** All rules in the order of their names. */
export async function readRules(signal: AbortSignal): Promise<readonly CountedRule[]> {
  const [rules, statistics] = await Promise.all([
    readPages<ListedRule>('/rules', signal),
    readStatistics(signal),
  ])
  return rules.map((rule) => {
    const of = statistics.get(rule.ruleName)
    if (of === undefined) return rule
    const failures = [of, ...of.actions].flatMap(({ lastFailure }) => lastFailure ?? [])
    const lastFailure = failures.toSorted((left, right) => right.atMs - left.atMs)[0]
    return { ...rule, evaluations: of.evaluations, ...(lastFailure && { lastFailure }) }
  })
}

/** A key that may list rules may not always see their counters: then the list has none. */
async function readStatistics(signal: AbortSignal): Promise<ReadonlyMap<string, Statistics>> {
  try {
    const all = await readPages<Statistics>('/v1/rules/stats', signal)
    return new Map(all.map((one) => [one.ruleName, one]))
  } catch (thrown) {
    if ((thrown as { readonly code?: string }).code !== 'AccessDeniedException') throw thrown
    return new Map()
  }
}

async function readPages<Row>(path: string, signal: AbortSignal): Promise<readonly Row[]> {
  const rows: Row[] = []
  let nextToken: string | undefined
  do {
    const page: { readonly rules: readonly Row[]; readonly nextToken?: string } = await call({
      path,
      query: { nextToken, maxResults: '250' },
      signal,
    })
    rows.push(...page.rules)
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return rows
}
