import { grouped } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { goTo, pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import { RulePage } from '../rule/rule-page.tsx'
import { readRules } from './read-rules.ts'
import { RuleTable } from './rule-table.tsx'
import './rules.css'

const everyMs = 5_000

/** The list of rules, one rule, or a new one. */
export function Rules({ route: { name, query } }: { readonly route: Route }) {
  const isOne = name !== undefined || query.has('new')
  if (!isOne) return <RuleList query={query} />
  return <RulePage key={name ?? 'new'} name={name} isSample={query.get('new') === 'sample'} />
}

function RuleList({ query }: { query: URLSearchParams }) {
  const wanted = query.get('find') ?? ''
  const { value: rules, at, error } = useLoaded(readRules, 'rules', everyMs)
  const enabled = rules?.filter(({ ruleDisabled }) => !ruleDisabled).length ?? 0
  const found = rules?.filter(({ ruleName, topicPattern = '' }) =>
    `${ruleName} ${topicPattern}`.includes(wanted),
  )
  return (
    <Page
      title={rules ? `Rules: ${grouped(enabled)} of ${grouped(rules.length)} enabled` : 'Rules'}
      action={
        <a class="button primary" href={pathOf('rules', undefined, { new: '1' })}>
          New rule
        </a>
      }
    >
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <label>
          Name or topic
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
      {rules === undefined || found === undefined ? (
        error === undefined && <Loading />
      ) : rules.length === 0 ? (
        <NoRules />
      ) : found.length === 0 ? (
        <Empty title="No rule has that in its name or its topics." />
      ) : (
        <RuleTable rules={found} at={at} />
      )}
    </Page>
  )
}

function NoRules() {
  return (
    <Empty title="There are no rules yet.">
      <p>
        A rule selects messages of devices, and says where they go. The sample writes devices that
        run hot to a stream.
      </p>
      <a class="button" href={pathOf('rules', undefined, { new: 'sample' })}>
        Create the sample rule
      </a>
    </Empty>
  )
}
