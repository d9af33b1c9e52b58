import type { ComponentChildren } from 'preact'
import { bytes, duration, grouped } from '../../parts/figures.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { pathOf } from '../../shell/route.ts'
import { isRefusing, nameOf } from './snapshot.ts'
import type { DestinationState, Snapshot } from './snapshot.ts'

/** Records that wait longer than this are worth a colour. */
const lateMs = 10_000
/** Destinations that refuse and are named in the summary; the table names all. */
const namedMax = 3

const reasons: Readonly<Record<string, string>> = {
  accountUnknown:
    'The AWS account is not known yet: STS does not answer. Rules with ARNs wait for it.',
  publishersStalled:
    'Publishers wait, and none of them goes on: a destination takes nothing, or the disk is slow.',
  outboxFull: 'The outbox is full: publishers wait until a destination takes records.',
  outboxWritesFail: 'The outbox cannot write: look at the disk.',
  policiesUnreadable: 'The policies of MQTT clients cannot be read; the last good ones hold.',
  passwordsUnreadable: 'The password file cannot be read; the last good one holds.',
  accessKeysUnreadable: 'The access keys cannot be read.',
  tlsUnreadable: 'The TLS files cannot be read; the last good ones hold.',
  tlsExpired: 'The TLS certificate has expired: clients that verify it cannot connect.',
  tlsDamaged: 'The TLS files do not fit each other.',
  rulesInvalid: 'A rule file cannot be used; the last good version of the rule runs.',
  mappingsInvalid: 'An event source mapping cannot be used.',
  upstreamDisconnected:
    'The upstream broker is not read: the log says why. Its messages wait there.',
  upstreamFiltersRefused: 'The upstream broker refuses a topic filter: the log says which.',
  clusterUnreachable:
    'The cluster cannot be reached: what is in force stays, and changes are refused.',
}

/** The title of the page and of its tab. */
export function titleOf({ outbox, health }: Snapshot): string {
  const troubles = (health.reasons ?? []).length + outbox.destinations.filter(isRefusing).length
  if (troubles > 0)
    return `Overview: ${troubles} ${troubles === 1 ? 'thing needs' : 'things need'} a look`
  return outbox.records === 0
    ? 'Overview: all is delivered'
    : `Overview: ${grouped(outbox.records)} on their way`
}

/** One sentence that says whether all is well, and what to do where it is not. */
export function Summary({ snapshot }: { snapshot: Snapshot }) {
  const { health, outbox } = snapshot
  const refusing = outbox.destinations.filter(isRefusing)
  const oldest = Math.max(0, ...outbox.destinations.map(({ oldestAgeMs }) => oldestAgeMs))
  const problems = health.reasons ?? []
  const isBad = problems.length > 0 || refusing.length > 0
  const isLate = outbox.records > 0 && oldest > lateMs
  const letters = outbox.deadLetters.records
  return (
    <section
      class={`summary ${isBad ? 'is-bad' : isLate ? 'is-late' : 'is-good'}`}
      aria-label="State"
      aria-live="polite"
    >
      {refusing.slice(0, namedMax).map((destination) => (
        <Refusal key={`${destination.kind} ${nameOf(destination)}`} destination={destination} />
      ))}
      {refusing.length > namedMax && (
        <p>{grouped(refusing.length - namedMax)} more destinations refuse.</p>
      )}
      {refusing.length === 0 && <p>{sentenceOf(snapshot, oldest)}</p>}
      {problems.map((problem) => (
        <p key={problem}>{reasons[problem] ?? problem}</p>
      ))}
      {letters > 0 && (
        <p>
          <a href={pathOf('dead-letters')}>
            {grouped(letters)} {letters === 1 ? 'dead letter needs' : 'dead letters need'} a look
          </a>
        </p>
      )}
    </section>
  )
}

function sentenceOf({ outbox }: Snapshot, oldest: number): string {
  if (outbox.records === 0) return 'All is delivered; no record waits.'
  const waiting = `the oldest record waits ${duration(oldest)}`
  if (oldest <= lateMs) return `All is being delivered; ${waiting}.`
  return `${grouped(outbox.records)} records wait for delivery (${bytes(outbox.bytes)}); ${waiting}.`
}

function Refusal({ destination }: { destination: DestinationState }): ComponentChildren {
  const { kind, records, oldestAgeMs, delivery } = destination
  return (
    <>
      <p>
        {kind === 'kinesis' ? 'Stream' : kind} <code>{visibleText(nameOf(destination))}</code>{' '}
        refuses: {delivery?.reason?.code}. {grouped(records)}{' '}
        {records === 1 ? 'record waits' : 'records wait'}, the oldest {duration(oldestAgeMs)}.
      </p>
      <p class="summary-detail">{visibleText(delivery?.reason?.message ?? '')}</p>
      {delivery?.advice !== undefined && <p>What to do: {delivery.advice}.</p>}
    </>
  )
}
