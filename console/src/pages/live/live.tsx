import { useState } from 'preact/hooks'
import { call } from '../../api/engine.ts'
import type { EventFilter, MessageEvent, RecordEvent } from '../../api/events.ts'
import { fieldsOf } from '../../parts/fields.ts'
import { grouped } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { CopyLine, Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { goTo, pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import { MessageRow } from './message-row.tsx'
import type { Row, Seen } from './seen.ts'
import { useEvents } from './use-events.ts'
import './live.css'

const filterOf = ({ query }: Route): EventFilter => ({
  topic: query.get('topic') ?? undefined,
  client: query.get('client') ?? undefined,
  rule: query.get('rule') ?? undefined,
})

/** The link to a message, beside the filters that are set. */
const linkTo = (filter: EventFilter, messageId?: string): string =>
  pathOf('live', undefined, {
    topic: filter.topic ?? '',
    client: filter.client ?? '',
    rule: filter.rule ?? '',
    message: messageId ?? '',
  })

/** Messages as they come, each with its path. */
export function Live({ route }: { readonly route: Route }) {
  const filter = filterOf(route)
  const open = route.query.get('message') ?? undefined
  const { seen, error, isPaused, setPaused, showsPayloads } = useEvents(filter)
  const { shown, newer, hold, release } = useHeldRows(seen)
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
      {!showsPayloads && (
        <p class="note">Payloads are not shown: your access key has no sluice:ReadPayloads.</p>
      )}
      {seen.leftOut > 0 && (
        <p class="note">
          {grouped(seen.leftOut)} messages were left out: more came than a person can read. A filter
          shows what you look for.
        </p>
      )}
      {open !== undefined && !shown.some(({ message }) => message.messageId === open) && (
        <LinkedMessage messageId={open} onClose={() => goTo(linkTo(filter), 'replace')} />
      )}
      {seen.rows.length === 0 ? (
        <Empty title="No message has come since this page was opened.">
          <p>
            Publish one: <CopyLine text={`sluice pub -t dt/7/telemetry -m '{"temp": 61.5}'`} />
          </p>
        </Empty>
      ) : (
        <div class="live-list" onPointerEnter={hold} onPointerLeave={release}>
          {newer > 0 && (
            <button type="button" class="newer" onClick={release}>
              {newer === 1 ? '1 newer message' : `${grouped(newer)} newer messages`}
            </button>
          )}
          <ol class="messages">
            {shown.map((row) => (
              <MessageRow
                key={row.message.messageId}
                row={row}
                isOpen={open === row.message.messageId}
                onToggle={(isOpen) =>
                  goTo(linkTo(filter, isOpen ? row.message.messageId : undefined), 'replace')
                }
              />
            ))}
          </ol>
        </div>
      )}
    </Page>
  )
}

/** Rows keep their place while the pointer is over them: newer ones are counted meanwhile. */
function useHeldRows(seen: Seen) {
  const [held, setHeld] = useState<Seen>()
  const latest = new Map(seen.rows.map((row) => [row.message.messageId, row]))
  return {
    // What becomes of the messages is told all the same.
    shown: held?.rows.map((row) => latest.get(row.message.messageId) ?? row) ?? seen.rows,
    newer: held ? Math.max(0, seen.count - held.count) : 0,
    hold: () => setHeld(seen),
    release: () => setHeld(undefined),
  }
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

interface Trace {
  readonly message: MessageEvent
  readonly durable?: { readonly latencyMs: number }
  readonly records: readonly RecordEvent[]
}

/** The message of a link, as far as the engine remembers it. */
function LinkedMessage({ messageId, onClose }: { messageId: string; onClose: () => void }) {
  const { value, error } = useLoaded(async (signal): Promise<Row> => {
    const query = { messageId }
    const trace = await call<Trace>({ path: '/v1/trace', query, signal })
    const { message, durable, records } = trace
    return { message, records, ...(durable && { durableMs: durable.latencyMs }) }
  }, messageId)
  if (error !== undefined) {
    return (
      <p class="note">
        The message of this link is not remembered: the engine follows messages only while somebody
        watches them. <a href={pathOf('live')}>Show all messages</a>
      </p>
    )
  }
  if (value === undefined) return <Loading />
  return (
    <ol class="messages" aria-label="The message of this link">
      <MessageRow row={value} isOpen onToggle={onClose} />
    </ol>
  )
}
