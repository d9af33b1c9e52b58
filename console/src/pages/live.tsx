import { useEffect, useRef, useState } from 'preact/hooks'
import { asksForKey } from '../api/engine.ts'
import { readEvents } from '../api/events.ts'
import type { EngineEvent, EventFilter, MessageEvent, RecordEvent } from '../api/events.ts'
import { bytes, clockTime, duration, grouped } from '../parts/figures.ts'
import { fieldsOf } from '../parts/fields.ts'
import { Page } from '../parts/page.tsx'
import { CopyLine, Empty, Failure } from '../parts/status.tsx'
import { goTo, pathOf, useRoute } from '../shell/route.ts'

/** A message as it is shown, with what became of it so far. */
interface Row {
  readonly message: MessageEvent
  readonly durableMs?: number
  readonly records: readonly RecordEvent[]
}

interface Seen {
  /** The newest first. */
  readonly rows: readonly Row[]
  readonly count: number
  readonly leftOut: number
}

const rowsMax = 200
/** Rows change at most so often, so that they can be read. */
const drawEveryMs = 500
const retryMs = 2_000
const nothingSeen: Seen = { rows: [], count: 0, leftOut: 0 }

export function Live() {
  const { query } = useRoute()
  const filter = {
    topic: query.get('topic') ?? undefined,
    client: query.get('client') ?? undefined,
    rule: query.get('rule') ?? undefined,
  }
  const { seen, error, isPaused, setPaused } = useEvents(filter)
  const [open, setOpen] = useState<string>()
  const state = isPaused ? 'paused' : error === undefined ? 'live' : 'not connected'
  return (
    <Page
      title={`Live: ${grouped(seen.count)} messages seen, ${state}`}
      action={
        <button type="button" onClick={() => setPaused(!isPaused)}>
          {isPaused ? 'Go on' : 'Pause'}
        </button>
      }
    >
      <Filters filter={filter} />
      {error !== undefined && <Failure error={error} />}
      {seen.leftOut > 0 && (
        <p class="note">
          {grouped(seen.leftOut)} messages were left out: more came than a person can read. A filter
          shows what you look for.
        </p>
      )}
      {seen.rows.length === 0 ? (
        <Empty title="No message has come since this page was opened.">
          <p>
            Publish one: <CopyLine text={`sluice pub -t dt/7/telemetry -m '{"temp": 61.5}'`} />
          </p>
        </Empty>
      ) : (
        <ol class="messages">
          {seen.rows.map((row) => (
            <MessageRow
              key={row.message.messageId}
              row={row}
              isOpen={open === row.message.messageId}
              onToggle={() =>
                setOpen(open === row.message.messageId ? undefined : row.message.messageId)
              }
            />
          ))}
        </ol>
      )}
    </Page>
  )
}

function applyFilters(event: Event): void {
  event.preventDefault()
  const value = fieldsOf(event.currentTarget as HTMLFormElement)
  const wanted = { topic: value('topic'), client: value('client'), rule: value('rule') }
  goTo(pathOf('live', undefined, wanted), 'replace')
}

function Filters({ filter }: { filter: EventFilter }) {
  return (
    <form class="filters" onSubmit={applyFilters} onChange={applyFilters}>
      <label>
        Topic filter
        <input
          name="topic"
          defaultValue={filter.topic ?? ''}
          placeholder="dt/+/telemetry"
          data-filter
        />
      </label>
      <label>
        Client
        <input name="client" defaultValue={filter.client ?? ''} />
      </label>
      <label>
        Rule
        <input name="rule" defaultValue={filter.rule ?? ''} />
      </label>
    </form>
  )
}

function useEvents(filter: EventFilter) {
  const [seen, setSeen] = useState<Seen>(nothingSeen)
  const [error, setError] = useState<unknown>()
  const [isPaused, setPaused] = useState(false)
  const pending = useRef<EngineEvent[]>([])
  const key = JSON.stringify(filter)

  useEffect(() => setSeen(nothingSeen), [key])
  useEffect(() => {
    if (isPaused) return undefined
    const ending = new AbortController()
    let timer: number | undefined
    const receive = (event: EngineEvent) => void pending.current.push(event)
    const read = async () => {
      try {
        await readEvents(filter, ending.signal, receive, () => setError(undefined))
        if (ending.signal.aborted) return
      } catch (thrown) {
        if (ending.signal.aborted) return
        setError(thrown)
        if (asksForKey(thrown)) return
      }
      timer = window.setTimeout(() => void read(), retryMs)
    }
    void read()
    const drawing = window.setInterval(() => {
      const events = pending.current.splice(0)
      if (events.length > 0) setSeen((before) => events.reduce(withEvent, before))
    }, drawEveryMs)
    return () => {
      ending.abort()
      clearTimeout(timer)
      clearInterval(drawing)
      pending.current = []
    }
  }, [key, isPaused])
  return { seen, error, isPaused, setPaused }
}

function withEvent(seen: Seen, { name, data }: EngineEvent): Seen {
  if (name === 'message') {
    const row: Row = { message: data, records: [] }
    return { ...seen, rows: [row, ...seen.rows].slice(0, rowsMax), count: seen.count + 1 }
  }
  if (name === 'leftOut') return { ...seen, leftOut: seen.leftOut + data.count }
  if (name === 'durable') {
    return changed(seen, data.messageId, (row) => ({ ...row, durableMs: data.latencyMs }))
  }
  return changed(seen, data.messageId, (row) => ({ ...row, records: [...row.records, data] }))
}

function changed(seen: Seen, messageId: string, change: (row: Row) => Row): Seen {
  const rows = seen.rows.map((row) => (row.message.messageId === messageId ? change(row) : row))
  return { ...seen, rows }
}

/** What a row says at a glance. */
function stateOf({ message, records }: Row): { readonly mark: string; readonly words: string } {
  const matched = message.rules.filter((rule) => rule.matched)
  const hasFailed =
    message.rules.some(({ matched: hit, because, actions }) =>
      hit ? actions.some(({ state }) => state === 'failed') : because?.startsWith('sql:'),
    ) || records.some(({ reason }) => reason !== undefined)
  if (hasFailed) return { mark: 'bad', words: 'failed' }
  if (message.rules.length === 0) return { mark: 'none', words: 'no rule' }
  if (matched.length === 0) return { mark: 'none', words: 'no match' }
  const queued = matched.flatMap(({ actions }) => actions).filter(({ state }) => state === 'queued')
  if (queued.length === 0) return { mark: 'good', words: 'done' }
  return records.length >= queued.length
    ? { mark: 'good', words: 'delivered' }
    : { mark: 'late', words: 'queued' }
}

function MessageRow({
  row,
  isOpen,
  onToggle,
}: {
  row: Row
  isOpen: boolean
  onToggle: () => void
}) {
  const { message, records } = row
  const { mark, words } = stateOf(row)
  const latest = records.at(-1)?.latencyMs
  return (
    <li class={isOpen ? 'is-open' : ''}>
      <button type="button" class="message" aria-expanded={isOpen} onClick={onToggle}>
        <time dateTime={message.at}>{clockTime(message.at)}</time>
        <span class={`mark ${mark}`}>{words}</span>
        <span class="topic">{message.topic}</span>
        <span class="client">{message.clientId ?? ''}</span>
        <span class="number">{latest === undefined ? bytes(message.bytes) : duration(latest)}</span>
      </button>
      {isOpen && <Path row={row} />}
    </li>
  )
}

/** The path of one message, step by step. */
function Path({ row: { message, durableMs, records } }: { row: Row }) {
  return (
    <ol class="path">
      <li>
        received at {clockTime(message.at)}: {bytes(message.bytes)}, QoS {message.qos}
        {message.clientId !== undefined && (
          <>
            {' from '}
            <code>{message.clientId}</code>
          </>
        )}
        , message <code>{message.messageId}</code>
      </li>
      {message.rules.length === 0 && <li class="none">no rule has a filter for this topic</li>}
      {message.rules.map(({ ruleName, matched, because, actions }) => (
        <li key={ruleName} class={matched ? 'good' : 'none'}>
          <a href={pathOf('rules', ruleName)}>{ruleName}</a>{' '}
          {matched ? 'matched' : `did not match${because === undefined ? '' : `: ${because}`}`}
          {actions.map(({ kind, actionIndex, partitionKey, state, reason }) => (
            <div
              key={`${actionIndex} ${partitionKey ?? ''}`}
              class={state === 'failed' ? 'bad' : ''}
            >
              {kind} {state}
              {partitionKey !== undefined && (
                <>
                  {', key '}
                  <code>{partitionKey}</code>
                </>
              )}
              {reason !== undefined && `: ${reason}`}
            </div>
          ))}
        </li>
      ))}
      {(message.furtherRules ?? 0) > 0 && <li>and {message.furtherRules} further rules</li>}
      {durableMs !== undefined && <li class="good">on disk after {duration(durableMs)}</li>}
      {records.map((record) => (
        <li
          key={`${record.ruleName} ${record.actionIndex} ${record.sequenceNumber ?? record.latencyMs}`}
          class={record.reason === undefined ? 'good' : 'bad'}
        >
          {record.ruleName}: {record.kind} <code>{record.destination}</code>{' '}
          {record.reason === undefined
            ? `took it after ${duration(record.latencyMs)}`
            : `was given up: ${record.reason}`}
          {record.shardId !== undefined && (
            <div>
              <code>{record.shardId}</code>, sequence number <code>{record.sequenceNumber}</code>
              {record.callRecords !== undefined && `, in a call of ${grouped(record.callRecords)}`}
            </div>
          )}
          {record.followedBy === 'deadLetter' && (
            <div>
              <a href={pathOf('dead-letters', undefined, { rule: record.ruleName })}>
                It is a dead letter now
              </a>
            </div>
          )}
        </li>
      ))}
    </ol>
  )
}
