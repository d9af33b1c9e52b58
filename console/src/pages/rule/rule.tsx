import { call } from '../../api/engine.ts'
import { Page } from '../../parts/page.tsx'
import { Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { RuleEditor } from './rule-editor.tsx'
import { sample } from './rule-payload.ts'
import type { StoredRule } from './rule-payload.ts'

/** An existing rule, or with no name a new one. */
export function Rule({ name }: { name: string | undefined }) {
  const loaded = useLoaded(async (signal) => {
    if (name === undefined) return sample
    const path = `/rules/${encodeURIComponent(name)}`
    const { rule } = await call<{ readonly rule: StoredRule }>({ path, signal })
    const { ruleName: _name, createdAt: _createdAt, ...payload } = rule
    return payload
  }, name ?? '')
  const { value, error } = loaded
  if (value === undefined) {
    return (
      <Page title={name ?? 'New rule'}>
        {error === undefined ? <Loading /> : <Failure error={error} />}
      </Page>
    )
  }
  return (
    <RuleEditor key={JSON.stringify(value)} name={name} stored={value} reload={loaded.reload} />
  )
}
