import { useEffect, useState } from 'preact/hooks'
import { Page } from '../../parts/page.tsx'
import { Failure, Loading } from '../../parts/status.tsx'
import type { Rule, RuleProps } from './rule.tsx'

let loaded: typeof Rule | undefined

/** A rule, with the code of its editor, which the list of rules does not need. */
export function RulePage(props: RuleProps) {
  const [Shown, setShown] = useState(() => loaded)
  const [error, setError] = useState<Error>()
  useEffect(() => {
    const load = async () => {
      try {
        loaded = (await import('./rule.tsx')).Rule
        setShown(() => loaded)
      } catch {
        setError(new Error('The editor could not be loaded. Load the page again.'))
      }
    }
    if (!Shown) void load()
  }, [])
  if (Shown) return <Shown {...props} />
  return (
    <Page title={props.name ?? 'New rule'}>{error ? <Failure error={error} /> : <Loading />}</Page>
  )
}
