import { useEffect, useMemo, useState } from 'preact/hooks'
import { call } from '../api/engine.ts'
import { Page } from '../parts/page.tsx'
import { Failure, Loading } from '../parts/status.tsx'
import { useLoaded } from '../parts/use-loaded.ts'
import { goTo, pathOf } from '../shell/route.ts'
import { TryIt } from './try-it.tsx'

/** TopicRulePayload of AWS IoT, as far as this page looks into it. */
export interface RulePayload {
  readonly sql: string
  readonly description?: string
  readonly actions: readonly unknown[]
  readonly errorAction?: unknown
  readonly ruleDisabled?: boolean
  readonly awsIotSqlVersion?: string
}

interface StoredRule extends RulePayload {
  readonly ruleName: string
  readonly createdAt: number
}

const sample: RulePayload = {
  sql: "SELECT temp, topic(2) AS device\nFROM 'dt/+/telemetry'\nWHERE temp > 50",
  awsIotSqlVersion: '2016-03-23',
  actions: [
    {
      kinesis: {
        streamName: 'hot-devices',
        partitionKey: '${topic(2)}',
        roleArn: 'arn:aws:iam::000000000000:role/iot-to-kinesis',
      },
    },
  ],
  ruleDisabled: false,
}

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

type Draft =
  | { readonly payload: RulePayload; readonly problem?: undefined }
  | { readonly payload?: undefined; readonly problem: string }

function RuleEditor({
  name,
  stored,
  reload,
}: {
  name: string | undefined
  stored: RulePayload
  reload: () => void
}) {
  const [ruleName, setRuleName] = useState(name ?? '')
  const [sql, setSql] = useState(stored.sql)
  const { sql: _sql, ...rest } = stored
  const [members, setMembers] = useState(JSON.stringify(rest, null, 2))
  const draft = useMemo((): Draft => readDraft(sql, members), [sql, members])
  const isChanged =
    draft.payload === undefined || JSON.stringify(draft.payload) !== JSON.stringify(stored)
  const [error, setError] = useState<unknown>()
  const [isReviewing, setReviewing] = useState(false)

  const act = async (run: () => Promise<unknown>) => {
    setError(undefined)
    try {
      await run()
    } catch (thrown) {
      setError(thrown)
    }
  }
  const save = () =>
    act(async () => {
      const path = `/rules/${encodeURIComponent(ruleName)}`
      await call({ method: name === undefined ? 'POST' : 'PATCH', path, body: draft.payload })
      setReviewing(false)
      if (name === undefined) goTo(pathOf('rules', ruleName))
      else reload()
    })

  return (
    <Page
      title={name ?? 'New rule'}
      action={
        <button
          type="button"
          class="primary"
          disabled={!isChanged || draft.payload === undefined || ruleName === ''}
          onClick={() => (name === undefined ? void save() : setReviewing(true))}
        >
          {name === undefined ? 'Create' : 'Save ...'}
        </button>
      }
    >
      <div class="rule">
        <section aria-label="Rule" class="rule-text">
          {name === undefined && (
            <label>
              Name
              <input
                value={ruleName}
                pattern="[a-zA-Z0-9_]{1,128}"
                placeholder="hot_devices"
                onInput={({ currentTarget }) => setRuleName(currentTarget.value)}
              />
            </label>
          )}
          <TextField label="Statement" rowsMin={4} value={sql} onInput={setSql} />
          <TextField
            label="Actions and settings"
            rowsMin={2}
            value={members}
            onInput={setMembers}
          />
          {draft.problem !== undefined && <p class="failure">{draft.problem}</p>}
          {error !== undefined && <Failure error={error} />}
          {isReviewing && draft.payload && (
            <Difference
              before={stored}
              after={draft.payload}
              onSave={() => void save()}
              onCancel={() => setReviewing(false)}
            />
          )}
          {name !== undefined && (
            <Controls
              name={name}
              isDisabled={stored.ruleDisabled === true}
              act={act}
              reload={reload}
            />
          )}
        </section>
        <TryIt payload={draft.payload} ruleName={ruleName} />
      </div>
    </Page>
  )
}

function TextField({
  label,
  rowsMin,
  value,
  onInput,
}: {
  label: string
  rowsMin: number
  value: string
  onInput: (text: string) => void
}) {
  const rows = Math.max(rowsMin, Math.min(30, value.split('\n').length + 1))
  return (
    <label>
      {label}
      <textarea
        class="code"
        rows={rows}
        value={value}
        spellcheck={false}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
      />
    </label>
  )
}

function readDraft(sql: string, members: string): Draft {
  try {
    const given = JSON.parse(members) as Omit<RulePayload, 'sql'>
    return { payload: { sql, ...given } }
  } catch (thrown) {
    return { problem: `Actions and settings are no JSON: ${(thrown as Error).message}` }
  }
}

function Difference({
  before,
  after,
  onSave,
  onCancel,
}: {
  before: RulePayload
  after: RulePayload
  onSave: () => void
  onCancel: () => void
}) {
  return (
    <div class="review" role="group" aria-label="What changes">
      <h2>What changes</h2>
      <pre class="difference">
        {differenceOf(linesOf(before), linesOf(after)).map(({ mark, line }, index) => (
          <div key={index} class={mark === '+' ? 'added' : mark === '-' ? 'removed' : ''}>
            {mark} {line}
          </div>
        ))}
      </pre>
      <div class="buttons">
        <button type="button" class="primary" onClick={onSave}>
          Save
        </button>
        <button type="button" onClick={onCancel}>
          Back
        </button>
      </div>
    </div>
  )
}

const linesOf = ({ sql, ...rest }: RulePayload): readonly string[] => [
  ...sql.split('\n'),
  ...JSON.stringify(rest, null, 2).split('\n'),
]

interface DifferenceLine {
  readonly mark: '+' | '-' | ' '
  readonly line: string
}

/** The longest common subsequence of lines: rules have some hundred lines at most. */
export function differenceOf(
  before: readonly string[],
  after: readonly string[],
): readonly DifferenceLine[] {
  const lengths = Array.from({ length: before.length + 1 }, () =>
    Array.from({ length: after.length + 1 }, () => 0),
  )
  const at = (left: number, right: number) => lengths[left]?.[right] ?? 0
  for (let left = before.length - 1; left >= 0; left--) {
    for (let right = after.length - 1; right >= 0; right--) {
      const row = lengths[left]
      if (!row) continue
      row[right] =
        before[left] === after[right]
          ? at(left + 1, right + 1) + 1
          : Math.max(at(left + 1, right), at(left, right + 1))
    }
  }
  const result: DifferenceLine[] = []
  let [left, right] = [0, 0]
  while (left < before.length || right < after.length) {
    const [old, fresh] = [before[left], after[right]]
    if (old !== undefined && old === fresh) {
      result.push({ mark: ' ', line: old })
      left++
      right++
    } else if (
      fresh !== undefined &&
      (old === undefined || at(left, right + 1) > at(left + 1, right))
    ) {
      result.push({ mark: '+', line: fresh })
      right++
    } else if (old !== undefined) {
      result.push({ mark: '-', line: old })
      left++
    }
  }
  return result
}

function Controls({
  name,
  isDisabled,
  act,
  reload,
}: {
  name: string
  isDisabled: boolean
  act: (run: () => Promise<unknown>) => Promise<void>
  reload: () => void
}) {
  const [isDeleting, setDeleting] = useState(false)
  const [typed, setTyped] = useState('')
  useEffect(() => setTyped(''), [isDeleting])
  const path = `/rules/${encodeURIComponent(name)}`
  const toggle = () =>
    act(async () => {
      await call({ method: 'POST', path: `${path}/${isDisabled ? 'enable' : 'disable'}` })
      reload()
    })
  const remove = () =>
    act(async () => {
      await call({ method: 'DELETE', path })
      goTo(pathOf('rules'))
    })
  return (
    <div class="controls">
      <div class="buttons">
        <button type="button" onClick={() => void toggle()}>
          {isDisabled ? 'Enable' : 'Disable'}
        </button>
        <button type="button" onClick={() => setDeleting(!isDeleting)} aria-expanded={isDeleting}>
          Delete ...
        </button>
      </div>
      {isDeleting && (
        <form
          class="review"
          onSubmit={(event) => {
            event.preventDefault()
            void remove()
          }}
        >
          <p>
            The rule and its delivery settings are lost; messages that come later are not written by
            it. Records that it has made are still delivered.
          </p>
          <label>
            Write its name to delete it
            <input value={typed} onInput={({ currentTarget }) => setTyped(currentTarget.value)} />
          </label>
          <button type="submit" class="danger" disabled={typed !== name}>
            Delete {name}
          </button>
        </form>
      )}
    </div>
  )
}
