import { call } from '../api/engine.ts'
import { grouped } from '../parts/figures.ts'
import { Page } from '../parts/page.tsx'
import { Empty, Failure, Loading } from '../parts/status.tsx'
import { useLoaded } from '../parts/use-loaded.ts'
import { WindowedRows } from '../parts/windowed-rows.tsx'
import { goTo, pathOf } from '../shell/route.ts'
import type { Route } from '../shell/route.ts'
import { Rule } from './rule/rule.tsx'

export interface ListedRule {
  readonly ruleName: string
  readonly topicPattern?: string
  readonly ruleDisabled: boolean
}

interface Statistics {
  readonly evaluations: Readonly<Record<string, number>>
}

const everyMs = 5_000
/** Counters are read for so many rules: each of them is a request. */
const countedMax = 50

async function readRules(signal: AbortSignal): Promise<readonly ListedRule[]> {
  const rules: ListedRule[] = []
  let nextToken: string | undefined
  do {
    const page: { readonly rules: readonly ListedRule[]; readonly nextToken?: string } = await call(
      {
        path: '/rules',
        query: { nextToken, maxResults: '250' },
        signal,
      },
    )
    rules.push(...page.rules)
    nextToken = page.nextToken
  } while (nextToken !== undefined)
  return rules
}

async function readCounts(rules: readonly ListedRule[], signal: AbortSignal) {
  const counted = await Promise.all(
    rules.slice(0, countedMax).map(async ({ ruleName }) => {
      const path = `/v1/rules/${encodeURIComponent(ruleName)}/stats`
      const { evaluations } = await call<Statistics>({ path, signal })
      return [ruleName, evaluations] as const
    }),
  )
  return new Map(counted)
}

/** The list of rules, one rule, or a new one. */
export function Rules({ route: { name, query } }: { readonly route: Route }) {
  const isOne = name !== undefined || query.has('new')
  return isOne ? <Rule key={name ?? 'new'} name={name} /> : <RuleList query={query} />
}

function RuleList({ query }: { query: URLSearchParams }) {
  const wanted = query.get('find') ?? ''
  const { value, error } = useLoaded(
    async (signal) => {
      const rules = await readRules(signal)
      const found = rules.filter(({ ruleName }) => ruleName.includes(wanted))
      return { rules, found, counts: await readCounts(found, signal) }
    },
    wanted,
    everyMs,
  )
  const enabled = value?.rules.filter(({ ruleDisabled }) => !ruleDisabled).length ?? 0
  const title = value
    ? `Rules: ${grouped(enabled)} of ${grouped(value.rules.length)} enabled`
    : 'Rules'
  return (
    <Page
      title={title}
      action={
        <a class="button primary" href={pathOf('rules', undefined, { new: '1' })}>
          New rule
        </a>
      }
    >
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          Name
          <input
            data-filter
            defaultValue={wanted}
            onInput={({ currentTarget }) =>
              goTo(pathOf('rules', undefined, { find: currentTarget.value }), 'replace')
            }
          />
        </label>
      </form>
      {error !== undefined && <Failure error={error} />}
      {value === undefined ? error === undefined && <Loading /> : <RuleTable {...value} />}
    </Page>
  )
}

function RuleTable({
  found,
  rules,
  counts,
}: {
  found: readonly ListedRule[]
  rules: readonly ListedRule[]
  counts: ReadonlyMap<string, Readonly<Record<string, number>>>
}) {
  if (rules.length === 0) {
    return (
      <Empty title="There are no rules yet.">
        <p>
          <a href={pathOf('rules', undefined, { new: '1' })}>Write the first one</a>: a sample
          stands there already.
        </p>
      </Empty>
    )
  }
  if (found.length === 0) return <Empty title="No rule has that in its name." />
  return (
    <table class="rules">
      <thead>
        <tr>
          <th scope="col">Rule</th>
          <th scope="col">Topics</th>
          <th scope="col">State</th>
          <th scope="col" class="number">
            Matched
          </th>
          <th scope="col" class="number wide">
            Not matched
          </th>
          <th scope="col" class="number wide">
            Failed
          </th>
        </tr>
      </thead>
      <WindowedRows
        rows={found}
        keyOf={({ ruleName }) => ruleName}
        classOf={({ ruleDisabled }) => (ruleDisabled ? 'is-disabled' : '')}
      >
        {({ ruleName, topicPattern, ruleDisabled }) => {
          const of = counts.get(ruleName)
          const figure = (name: string) => (of === undefined ? '' : grouped(of[name] ?? 0))
          return (
            <>
              <th scope="row">
                <a href={pathOf('rules', ruleName)}>{ruleName}</a>
              </th>
              <td>
                <code>{topicPattern ?? 'Basic Ingest alone'}</code>
              </td>
              <td>
                <span class={`mark ${ruleDisabled ? 'none' : 'good'}`}>
                  {ruleDisabled ? 'disabled' : 'enabled'}
                </span>
              </td>
              <td class="number">{figure('matched')}</td>
              <td class="number wide">{figure('unmatched')}</td>
              <td class={`number wide ${(of?.['failed'] ?? 0) > 0 ? 'bad' : ''}`}>
                {figure('failed')}
              </td>
            </>
          )
        }}
      </WindowedRows>
    </table>
  )
}
