import { useEffect, useMemo } from 'preact/hooks'
import { ApiError } from '../../api/engine.ts'
import type { TriedRule } from '../../api/evaluate.ts'
import type { LiveMessages } from '../../api/live-messages.ts'
import { textOf } from '../../parts/status.tsx'
import { KeepTest } from './keep-test.tsx'
import { Ladder } from './ladder.tsx'
import { MessageForm } from './message-form.tsx'
import { firstMessage, requestOf } from './message.ts'
import type { TypedMessage } from './message.ts'
import { LastMessages, NewestLive } from './other-messages.tsx'
import { useStored } from './use-stored.ts'
import { useEvaluation } from './use-evaluation.ts'
import './try-it.css'

const lastMax = 10
/** Longer messages are not kept in the list: the browser keeps little for a tab. */
const lastPayloadMax = 16_384

/** A message beside the rule, and below it a ladder of what the rule makes of it. */
export function TryIt({
  payload,
  ruleName,
  isStored = false,
  live,
  given,
}: {
  /** Undefined: there is no whole rule to try. */
  payload: object | undefined
  ruleName: string
  /** Whether the payload is the stored one: trying that takes less of a key's policy. */
  isStored?: boolean
  live: LiveMessages
  /** A message that somebody wants to look at. */
  given?: TypedMessage | undefined
}) {
  const [message, setMessage] = useStored<TypedMessage>('sluice-try-it', firstMessage)
  const [last, setLast] = useStored<readonly TypedMessage[]>('sluice-tried', [])
  const ruleText = JSON.stringify(payload ?? {})
  const rule = useMemo((): TriedRule | undefined => {
    const name = /^[a-zA-Z0-9_]{1,128}$/.test(ruleName) ? ruleName : undefined
    if (isStored && name !== undefined) return { ruleName: name }
    return payload && { topicRulePayload: payload, ...(name !== undefined && { ruleName: name }) }
  }, [ruleText, ruleName, isStored, payload === undefined])
  const request = useMemo(() => requestOf(message), [message])
  const invokes = /\baws_lambda\s*\(/i.test(ruleText)
  const { evaluation, error, isOld, tryNow } = useEvaluation(rule, request, !invokes)

  const remember = (tried: TypedMessage) => {
    const text = JSON.stringify(tried)
    if (text.length > lastPayloadMax) return
    setLast([tried, ...last.filter((each) => JSON.stringify(each) !== text)].slice(0, lastMax))
  }
  const take = (next: TypedMessage) => {
    remember(message)
    setMessage(next)
  }
  const tryAndKeep = () => {
    remember(message)
    tryNow()
  }
  useEffect(() => {
    if (given) take(given)
  }, [given])

  return (
    <section
      aria-label="Try it"
      class="try-it"
      onKeyDown={(event) => {
        if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
        event.preventDefault()
        tryAndKeep()
      }}
    >
      <header class="try-it-head">
        <h2>Try it</h2>
        <button type="button" title="Ctrl+Enter" disabled={!rule || !request} onClick={tryAndKeep}>
          Try
        </button>
      </header>
      <NewestLive live={live} onTake={take} />
      <MessageForm
        key={message.came?.messageId ?? 'typed'}
        message={message}
        onChange={setMessage}
      />
      {invokes && (
        <p class="field-note">
          The rule invokes a function each time, so it is tried with Ctrl+Enter and not as you type.
        </p>
      )}
      <div aria-live="polite" class={isOld && rule ? 'is-old' : ''}>
        {rule === undefined && <p class="unit">It is tried when the rule is whole.</p>}
        {rule && error !== undefined && <Problem error={error} />}
        {rule && evaluation && <Ladder evaluation={evaluation} />}
      </div>
      <KeepTest
        rule={rule}
        ruleText={ruleText}
        ruleName={ruleName}
        message={request}
        matched={evaluation?.matched}
      />
      <LastMessages messages={last} onTake={take} />
    </section>
  )
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
