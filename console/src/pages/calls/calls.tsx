import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { ApiError, call } from '../../api/engine.ts'
import { fieldsOf } from '../../parts/fields.ts'
import { clockTime, grouped } from '../../parts/figures.ts'
import { Page } from '../../parts/page.tsx'
import { CopyLine, Empty, Failure, Loading } from '../../parts/status.tsx'
import { useLoaded } from '../../parts/use-loaded.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { goTo, pathOf } from '../../shell/route.ts'
import type { Route } from '../../shell/route.ts'
import './calls.css'
import { Parameters } from './parameters.tsx'
import { createCallReader, shownMax } from './read-calls.ts'
import type { CallFilter, NewestCalls, ReadCall } from './read-calls.ts'

const everyMs = 2_000

const linkTo = ({ rule, kind, mapping }: CallFilter): string =>
  pathOf('calls', undefined, { rule, kind, mapping })

/** The calls that the lab recorded instead of making them, the newest first. */
export function Calls({ route: { query } }: { readonly route: Route }) {
  const filter: CallFilter = {
    rule: query.get('rule') ?? '',
    kind: query.get('kind') ?? '',
    mapping: query.get('mapping') ?? '',
  }
  const key = linkTo(filter)
  const read = useMemo(() => createCallReader(filter), [key])
  const { value, error } = useLoaded(read, key, everyMs)
  const isFiltered = key !== pathOf('calls')
  return (
    <Page title={value ? titleOf(value, isFiltered) : 'Calls'}>
      <Filters filter={filter} />
      {error !== undefined && <Failure error={error} />}
      {value === undefined ? (
        error === undefined && <Loading />
      ) : value.calls.length > 0 ? (
        <CallList key={key} newest={value} />
      ) : isFiltered ? (
        <Empty title="No recorded call is like that.">
          <p>
            <a href={pathOf('calls')}>Show all calls</a>
          </p>
        </Empty>
      ) : (
        <NoCalls />
      )}
    </Page>
  )
}

function titleOf({ calls, count }: NewestCalls, isFiltered: boolean): string {
  const which = isFiltered ? ' like that' : ''
  if (count > calls.length) {
    return `Calls: the newest ${shownMax} of ${grouped(count)} recorded${which}`
  }
  return `Calls: ${count === 0 ? 'none' : grouped(count)} recorded${which}`
}

function applyFilters(event: Event): void {
  event.preventDefault()
  const value = fieldsOf(event.currentTarget as HTMLFormElement)
  goTo(linkTo({ rule: value('rule'), kind: value('kind'), mapping: value('mapping') }), 'replace')
}

function Filters({ filter }: { filter: CallFilter }) {
  const form = useRef<HTMLFormElement>(null)
  // A link has led to other filters: what was typed before them goes, and focus stays.
  useEffect(() => form.current?.reset(), [linkTo(filter)])
  return (
    <form ref={form} class="filters" onSubmit={applyFilters} onChange={applyFilters}>
      <label>
        Rule
        <input name="rule" class="code" defaultValue={filter.rule} data-filter />
      </label>
      <label>
        Kind of action
        <input name="kind" class="code" defaultValue={filter.kind} placeholder="sqs" />
      </label>
      {filter.mapping !== '' && (
        <label>
          Mapping
          <input name="mapping" class="code" defaultValue={filter.mapping} />
        </label>
      )}
    </form>
  )
}

/** Tells a lab without calls from an engine that records none: only a lab has faults. */
function NoCalls() {
  const { error } = useLoaded(
    (signal) => call<unknown>({ path: '/v1/lab/faults', signal }),
    'is-lab',
  )
  if (error instanceof ApiError && error.status === 404) {
    return (
      <Empty title="This engine makes its calls: a lab alone records them.">
        <p>
          Start <code>sluice lab</code> to see the calls that your rules would make, without an
          account of AWS.
        </p>
      </Empty>
    )
  }
  return (
    <Empty title="The lab has recorded no call.">
      <p>
        Actions for services that the lab does not have, such as a queue or a table, are recorded
        here instead of being sent. Publish a message for such a rule:
      </p>
      <CopyLine text={`sluice pub -t dt/7/telemetry -m '{"temp": 61.5}'`} />
    </Empty>
  )
}

/** Rows keep their place while the pointer is over them; newer calls are counted meanwhile. */
function CallList({ newest }: { newest: NewestCalls }) {
  const [held, setHeld] = useState<NewestCalls>()
  const [open, setOpen] = useState<string>()
  // A lab that has started again counts from the beginning.
  const isHeld = held !== undefined && held.count <= newest.count
  const { calls, count } = isHeld ? held : newest
  const newer = newest.count - count
  return (
    <div
      class="call-list"
      onPointerEnter={() => setHeld(newest)}
      onPointerLeave={() => setHeld(undefined)}
    >
      {newer > 0 && (
        <button type="button" class="newer-calls" onClick={() => setHeld(undefined)}>
          {newer === 1 ? '1 newer call' : `${grouped(newer)} newer calls`}
        </button>
      )}
      <ol class="letters">
        {calls.map((recorded) => {
          const id = `${recorded.at} ${recorded.place}`
          const isOpen = open === id
          return (
            <li key={id} class={isOpen ? 'is-open' : ''}>
              <CallLine
                recorded={recorded}
                isOpen={isOpen}
                onToggle={() => setOpen(isOpen ? undefined : id)}
              />
              {isOpen && <CallDetails recorded={recorded} />}
            </li>
          )
        })}
      </ol>
    </div>
  )
}

function CallLine({
  recorded: { at, kind, operation, topic, ruleName, mapping },
  isOpen,
  onToggle,
}: {
  recorded: ReadCall
  isOpen: boolean
  onToggle: () => void
}) {
  return (
    <button type="button" class="message" aria-expanded={isOpen} onClick={onToggle}>
      <time dateTime={at}>{clockTime(at)}</time>
      <span class="topic">
        {visibleText(kind)} {visibleText(operation)}
      </span>
      <span class="client">{visibleText(topic ?? '')}</span>
      <span class="maker">{ruleName ?? `mapping ${(mapping ?? '').slice(0, 8)}`}</span>
    </button>
  )
}

function CallDetails({ recorded }: { recorded: ReadCall }) {
  const { ruleName, actionIndex = 0, mapping, topic, messageId, parameters } = recorded
  return (
    <div class="letter">
      {ruleName !== undefined && (
        <p>
          made by <a href={pathOf('rules', ruleName)}>{ruleName}</a>,{' '}
          {actionIndex < 0 ? 'its error action' : `actions[${actionIndex}]`}
          {messageId !== undefined && (
            <>
              , for the message{' '}
              <a href={pathOf('live', undefined, { message: messageId })}>{messageId}</a> of{' '}
              <code>{visibleText(topic ?? '')}</code>
            </>
          )}
        </p>
      )}
      {mapping !== undefined && (
        <p>
          made by the event source mapping{' '}
          <a href={pathOf('functions', undefined, { mapping })}>{mapping}</a>, which gave records up
        </p>
      )}
      {parameters === undefined ? (
        <p>Your key may not see it: its policy does not allow sluice:ReadPayloads.</p>
      ) : (
        <Parameters parameters={parameters} />
      )}
    </div>
  )
}
