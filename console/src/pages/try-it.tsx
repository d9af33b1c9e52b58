import { useEffect, useState } from 'preact/hooks'
import { ApiError, call } from '../api/engine.ts'
import { textOf } from '../parts/status.tsx'
import { useLoaded } from '../parts/use-loaded.ts'
import type { RulePayload } from './rule/rule-payload.ts'

interface WherePart {
  readonly text: string
  readonly value: { readonly type: string; readonly json?: string }
  readonly note?: string
  readonly parts: readonly WherePart[]
}

interface Evaluation {
  readonly matched: boolean
  readonly noMatch?: {
    readonly reason: 'topic' | 'where' | 'externalFunction' | 'failed'
    readonly message: string
    readonly where?: WherePart
  }
  readonly output?: unknown
  readonly outputBase64?: string
  readonly actions: readonly Readonly<Record<string, unknown>>[]
  readonly errors: readonly {
    readonly code: string
    readonly message: string
    readonly where: string
  }[]
}

/** After the last key, so that each word is not tried. */
const restMs = 250
const storageKey = 'sluice-try-it'

interface Tried {
  readonly topic: string
  readonly payload: string
}

function storedMessage(): Tried {
  const stored = sessionStorage.getItem(storageKey)
  if (stored !== null) return JSON.parse(stored) as Tried
  return { topic: 'dt/7/telemetry', payload: '{\n  "temp": 61.5\n}' }
}

/** A message beside the rule, and below it a ladder of what the rule makes of it. */
export function TryIt({
  payload,
  ruleName,
}: {
  payload: RulePayload | undefined
  ruleName: string
}) {
  const [message, setMessage] = useState(storedMessage)
  useEffect(() => sessionStorage.setItem(storageKey, JSON.stringify(message)), [message])
  const asked = useRested(JSON.stringify({ payload, message }), restMs)
  const { value, error } = useLoaded(
    (signal) => evaluate(payload, message, ruleName, signal),
    asked,
  )
  return (
    <section aria-label="Try it" class="try-it">
      <h2>Try it</h2>
      <label>
        Topic
        <input
          value={message.topic}
          spellcheck={false}
          onInput={({ currentTarget }) => setMessage({ ...message, topic: currentTarget.value })}
        />
      </label>
      <label>
        Payload
        <textarea
          class="code"
          rows={Math.min(16, message.payload.split('\n').length + 1)}
          value={message.payload}
          spellcheck={false}
          onInput={({ currentTarget }) => setMessage({ ...message, payload: currentTarget.value })}
        />
      </label>
      <div aria-live="polite">
        {error !== undefined && <Problem error={error} />}
        {value && <Ladder evaluation={value} />}
      </div>
    </section>
  )
}

function useRested(value: string, ms: number): string {
  const [rested, setRested] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), ms)
    return () => clearTimeout(timer)
  }, [value, ms])
  return rested
}

async function evaluate(
  payload: RulePayload | undefined,
  { topic, payload: text }: Tried,
  ruleName: string,
  signal: AbortSignal,
): Promise<Evaluation | undefined> {
  if (payload === undefined) return undefined
  const isName = /^[a-zA-Z0-9_]{1,128}$/.test(ruleName)
  return call<Evaluation>({
    method: 'POST',
    path: '/v1/evaluate',
    body: {
      topicRulePayload: payload,
      ...(isName && { ruleName }),
      message: { topic, payloadBase64: base64Of(text) },
    },
    signal,
  })
}

function base64Of(text: string): string {
  const bytes = new TextEncoder().encode(text)
  return btoa([...bytes].map((byte) => String.fromCharCode(byte)).join(''))
}

/** Errors of a statement have a line, a column and a caret, which need their blanks. */
function Problem({ error }: { error: unknown }) {
  const isOfStatement = error instanceof ApiError && error.code === 'SqlParseException'
  return (
    <div class="failure" role="alert">
      {isOfStatement ? <pre>{error.message}</pre> : <p>{textOf(error)}</p>}
    </div>
  )
}

function Ladder({ evaluation }: { evaluation: Evaluation }) {
  const { matched, noMatch, output, outputBase64, actions, errors } = evaluation
  const isTopic = noMatch?.reason === 'topic'
  return (
    <ol class="ladder">
      <li class={isTopic ? 'bad' : 'good'}>
        {isTopic ? noMatch.message : 'the topic is one of the rule'}
      </li>
      {!isTopic && (
        <li class={matched ? 'good' : 'bad'}>
          {matched ? 'the message matches' : noMatch?.message}
          {noMatch?.where && <Where part={noMatch.where} />}
        </li>
      )}
      {outputBase64 !== undefined && (
        <li class="good">
          <details open>
            <summary>output</summary>
            <pre>
              {output === undefined ? `${outputBase64} (base64)` : JSON.stringify(output, null, 2)}
            </pre>
          </details>
        </li>
      )}
      {actions.map((action, index) => (
        <li key={index} class="good">
          {Object.entries(action).map(([kind, members]) => (
            <details key={kind} open>
              <summary>
                {kind} {headOf(members)}
              </summary>
              <pre>{JSON.stringify(members, null, 2)}</pre>
            </details>
          ))}
        </li>
      ))}
      {errors.map(({ code, message, where }) => (
        <li key={where} class="bad">
          {where}: {message} <span class="unit">{code}</span>
        </li>
      ))}
    </ol>
  )
}

function headOf(members: unknown): string {
  const { streamName, partitionKey, topic, operation } = members as Readonly<Record<string, string>>
  if (streamName !== undefined) return `${streamName}, key ${partitionKey ?? ''}`
  return topic ?? operation ?? ''
}

/** The parts of a WHERE with their values; those that are true are folded. */
function Where({ part }: { part: WherePart }) {
  const { text, value, note, parts } = part
  const shown = value.json ?? value.type
  const line = (
    <>
      <code>{text}</code> is <code>{shown}</code>
      {note !== undefined && ` (${note})`}
    </>
  )
  if (parts.length === 0) return <div class="where">{line}</div>
  return (
    <details class="where" open={shown !== 'true'}>
      <summary>{line}</summary>
      {parts.map((each, index) => (
        <Where key={index} part={each} />
      ))}
    </details>
  )
}
