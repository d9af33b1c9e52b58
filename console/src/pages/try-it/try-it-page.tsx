import { useState } from 'preact/hooks'
import { call } from '../../api/engine.ts'
import { filtersOf, useLiveMessages } from '../../api/live-messages.ts'
import { Page } from '../../parts/page.tsx'
import { Failure } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { goTo, pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import { readRule } from '../rule/rule-payload.ts'
import type { RulePayload } from '../rule/rule-payload.ts'
import { TryIt } from './try-it.tsx'

const ownStatement = "SELECT * FROM 'dt/+/telemetry' WHERE temp > 50"

interface RuleList {
  readonly rules: readonly { readonly ruleName: string }[]
  readonly nextToken?: string | null
}

/** A stored rule or a statement of one's own, on a message. The place has which. */
export function TryItPage({ route: { name, query } }: { route: Route }) {
  const rules = useLoaded(listRules, '')
  const stored = useLoaded(
    async (signal) => (name === undefined ? undefined : readRule(name, signal)),
    name ?? '',
  )
  const [sql, setSql] = useState(query.get('sql') ?? ownStatement)
  const own: RulePayload = { sql, actions: [], awsIotSqlVersion: '2016-03-23' }
  const payload = name === undefined ? own : stored.value
  const live = useLiveMessages(filtersOf([payload?.sql]))
  const names = rules.value ?? (name === undefined ? [] : [name])
  const type = (statement: string) => {
    setSql(statement)
    goTo(pathOf('try-it', undefined, { sql: statement.slice(0, 2_000) }), 'replace')
  }
  return (
    <Page title={name === undefined ? 'Try a statement' : `Try ${name}`}>
      <div class="rule">
        <section aria-label="Rule" class="rule-text">
          <label>
            Rule
            <select
              value={name ?? ''}
              onChange={({ currentTarget: { value } }) =>
                goTo(pathOf('try-it', value === '' ? undefined : value))
              }
            >
              <option value="">a statement of your own</option>
              {names.map((each) => (
                <option key={each} value={each}>
                  {each}
                </option>
              ))}
            </select>
          </label>
          {rules.error !== undefined && <Failure error={rules.error} />}
          {name === undefined ? (
            <label>
              Statement
              <textarea
                class="code"
                rows={6}
                value={sql}
                spellcheck={false}
                onInput={({ currentTarget }) => type(currentTarget.value)}
              />
            </label>
          ) : (
            <>
              {stored.error !== undefined && <Failure error={stored.error} />}
              {payload && <pre class="statement-text">{payload.sql}</pre>}
              <p>
                <a href={pathOf('rules', name)}>Change the rule</a>
              </p>
            </>
          )}
        </section>
        <TryIt
          payload={payload ?? (name === undefined ? undefined : {})}
          ruleName={name ?? ''}
          isStored={name !== undefined}
          live={live}
        />
      </div>
    </Page>
  )
}

const pagesMax = 10

async function listRules(signal: AbortSignal): Promise<readonly string[]> {
  const names: string[] = []
  let nextToken: string | undefined
  for (let page = 0; page < pagesMax; page++) {
    const query = { maxResults: '250', nextToken }
    const list = await call<RuleList>({ path: '/rules', query, signal })
    names.push(...list.rules.map(({ ruleName }) => ruleName))
    if (list.nextToken === undefined || list.nextToken === null) break
    ;({ nextToken } = list as { nextToken: string })
  }
  return names
}
