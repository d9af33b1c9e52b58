import { useState } from 'preact/hooks'
import { call } from '../api/engine.ts'
import { dayTime, grouped } from '../parts/figures.ts'
import { Page } from '../parts/page.tsx'
import { Payload } from '../parts/payload.tsx'
import { Empty, Failure, Loading } from '../parts/status.tsx'
import { useLoaded } from '../parts/use-loaded.ts'
import { visibleText } from '../parts/visible-text.ts'
import { pathOf, useRoute } from '../shell/route.ts'

interface DeadLetter {
  readonly id: string
  readonly ruleName: string
  readonly action: number | 'errorAction'
  readonly reason: { readonly code: string; readonly message: string }
  readonly attempts: number
  readonly lastMs: number
  readonly field?: string
  readonly destination?: {
    readonly kind?: string
    readonly streamName?: string
    readonly target?: string
  }
  readonly partitionKey?: string
  readonly dataBase64?: string
  readonly dataLeftOut?: LeftOut
  readonly origin: {
    readonly messageId: string
    readonly topic: string
    readonly clientId?: string
    readonly timestampMs: number
    readonly payloadBase64?: string
    readonly payloadLeftOut?: LeftOut
  }
}

type LeftOut = 'notAllowed' | 'notJson'

const whyLeftOut = {
  notAllowed: 'Your key may not see it: its policy does not allow sluice:ReadPayloads.',
  notJson: 'It is not JSON, and members with some names are not shown here (SLUICE_REDACT).',
} as const satisfies Record<LeftOut, string>

interface Listing {
  readonly deadLetters: readonly DeadLetter[]
  readonly nextToken?: string
}

const everyMs = 5_000

export function DeadLetters() {
  const { query } = useRoute()
  const ruleName = query.get('rule') ?? undefined
  const { value, error, reload } = useLoaded(
    (signal) =>
      call<Listing>({
        path: '/v1/dead-letters',
        query: { ruleName, maxResults: '100' },
        signal,
      }),
    ruleName ?? '',
    everyMs,
  )
  const [open, setOpen] = useState<string>()
  const [told, setTold] = useState<string>()
  const [problem, setProblem] = useState<unknown>()
  const act = async (run: () => Promise<string>) => {
    setProblem(undefined)
    setTold(undefined)
    try {
      setTold(await run())
      reload()
    } catch (thrown) {
      setProblem(thrown)
    }
  }
  const replay = (body: object) =>
    act(async () => {
      const { replayed, kept } = await call<{ replayed: number; kept: number }>({
        method: 'POST',
        path: '/v1/dead-letters/replay',
        body,
      })
      const rest = kept > 0 ? ` ${grouped(kept)} stay, because the rule makes nothing of them.` : ''
      return `${grouped(replayed)} are sent again.${rest}`
    })
  const letters = value?.deadLetters ?? []
  const more = value?.nextToken === undefined ? '' : '+'
  const of = ruleName === undefined ? '' : ` of ${visibleText(ruleName)}`
  return (
    <Page
      title={value ? `Dead letters${of}: ${letters.length}${more}` : `Dead letters${of}`}
      action={
        letters.length > 0 && (
          <button
            type="button"
            class="primary"
            onClick={() => void replay(ruleName === undefined ? {} : { ruleName })}
          >
            Replay all
          </button>
        )
      }
    >
      {ruleName !== undefined && (
        <p>
          <a href={pathOf('dead-letters')}>Show those of all rules</a>
        </p>
      )}
      {told !== undefined && (
        <p class="note" role="status">
          {told}
        </p>
      )}
      {(problem ?? error) !== undefined && <Failure error={problem ?? error} />}
      {value === undefined ? (
        error === undefined && <Loading />
      ) : letters.length === 0 ? (
        <Empty title="There are no dead letters.">
          <p>
            A record that a service refuses for good, and an action that fails, would stand here.
          </p>
        </Empty>
      ) : (
        <Groups letters={letters} open={open} setOpen={setOpen} act={act} replay={replay} />
      )}
    </Page>
  )
}

/** Letters by the rule, the action and the reason, which one repair concerns. */
function Groups({
  letters,
  open,
  setOpen,
  act,
  replay,
}: {
  letters: readonly DeadLetter[]
  open: string | undefined
  setOpen: (id: string | undefined) => void
  act: (run: () => Promise<string>) => Promise<void>
  replay: (body: object) => Promise<void>
}) {
  const groups = new Map<string, DeadLetter[]>()
  for (const letter of letters) {
    const key = `${letter.ruleName} ${letter.action} ${letter.reason.code}`
    groups.set(key, [...(groups.get(key) ?? []), letter])
  }
  return (
    <>
      {[...groups].map(([key, group]) => {
        const [first] = group
        if (!first) return undefined
        return (
          <section key={key} class="group">
            <header>
              <h2>
                <a href={pathOf('rules', first.ruleName)}>{first.ruleName}</a>{' '}
                {typeof first.action === 'number' ? `actions[${first.action}]` : first.action}:{' '}
                {first.reason.code}
              </h2>
              <button type="button" onClick={() => void replay({ ids: group.map(({ id }) => id) })}>
                Replay {group.length}
              </button>
            </header>
            <p>{visibleText(first.reason.message)}</p>
            <ol class="letters">
              {group.map((letter) => (
                <li key={letter.id}>
                  <button
                    type="button"
                    class="message"
                    aria-expanded={open === letter.id}
                    onClick={() => setOpen(open === letter.id ? undefined : letter.id)}
                  >
                    <time>{dayTime(letter.lastMs)}</time>
                    <span class="topic">{visibleText(letter.origin.topic)}</span>
                    <span class="client">{visibleText(letter.origin.clientId ?? '')}</span>
                    <span class="number">{letter.id}</span>
                  </button>
                  {open === letter.id && <Letter letter={letter} act={act} replay={replay} />}
                </li>
              ))}
            </ol>
          </section>
        )
      })}
    </>
  )
}

function Bytes({ base64, leftOut }: { base64: string | undefined; leftOut: LeftOut | undefined }) {
  if (base64 !== undefined) return <Payload base64={base64} />
  return <p>{leftOut === undefined ? 'It is not shown.' : whyLeftOut[leftOut]}</p>
}

function Letter({
  letter,
  act,
  replay,
}: {
  letter: DeadLetter
  act: (run: () => Promise<string>) => Promise<void>
  replay: (body: object) => Promise<void>
}) {
  const { id, reason, attempts, field, destination, partitionKey, origin } = letter
  const { dataBase64, dataLeftOut } = letter
  const target = destination?.streamName ?? destination?.target
  const remove = () =>
    act(async () => {
      await call({ method: 'DELETE', path: `/v1/dead-letters/${id}` })
      return `The dead letter ${id} is deleted.`
    })
  return (
    <div class="letter">
      <dl>
        <dt>Reason</dt>
        <dd>
          {reason.code}: {visibleText(reason.message)}
        </dd>
        {field !== undefined && (
          <>
            <dt>Field</dt>
            <dd>
              <code>{field}</code>
            </dd>
          </>
        )}
        {destination && (
          <>
            <dt>Destination</dt>
            <dd>
              {destination.kind ?? 'kinesis'} <code>{visibleText(target ?? '')}</code>
              {partitionKey !== undefined && (
                <>
                  , key <code>{visibleText(partitionKey)}</code>
                </>
              )}
              {attempts > 0 && `, after ${grouped(attempts)} calls`}
            </dd>
          </>
        )}
        <dt>Message</dt>
        <dd>
          <code>{origin.messageId}</code>, {dayTime(origin.timestampMs)}
        </dd>
        <dt>Payload</dt>
        <dd>
          <Bytes base64={origin.payloadBase64} leftOut={origin.payloadLeftOut} />
        </dd>
        <dt>Record</dt>
        <dd>
          <Bytes base64={dataBase64} leftOut={dataLeftOut} />
        </dd>
      </dl>
      <div class="buttons">
        <button type="button" onClick={() => void replay({ ids: [id] })}>
          Replay
        </button>
        <button type="button" class="danger" onClick={() => void remove()}>
          Delete for good
        </button>
      </div>
    </div>
  )
}
