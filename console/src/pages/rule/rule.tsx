import { Page } from '../../parts/page.tsx'
import { Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { RuleEditor } from './rule-editor.tsx'
import { readRule, sample, sampleName } from './rule-payload.ts'

export interface RuleProps {
  readonly name: string | undefined
  /** A new rule is a sample that has a name already. */
  readonly isSample?: boolean | undefined
}

/** An existing rule, or with no name a new one. */
export function Rule({ name, isSample = false }: RuleProps) {
  const loaded = useLoaded(
    async (signal) => (name === undefined ? sample : readRule(name, signal)),
    name ?? '',
  )
  const { value, error } = loaded
  if (value === undefined) {
    return (
      <Page title={name ?? 'New rule'}>
        {error === undefined ? <Loading /> : <Failure error={error} />}
      </Page>
    )
  }
  return (
    <RuleEditor
      // What is typed stays when the rule is only disabled or enabled.
      key={JSON.stringify({ ...value, ruleDisabled: undefined })}
      name={name}
      newName={isSample ? sampleName : ''}
      stored={value}
      reload={loaded.reload}
    />
  )
}
