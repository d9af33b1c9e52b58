import type { EngineEvent, MessageEvent, RecordEvent } from '../../api/events.ts'

/** A message as it is shown, with what became of it so far. */
export interface Row {
  readonly message: MessageEvent
  readonly durableMs?: number
  readonly records: readonly RecordEvent[]
}

/** What has come since the page was opened, as far as it is kept. */
export interface Seen {
  /** The newest first. */
  readonly rows: readonly Row[]
  /** All messages, also those that are no longer kept. */
  readonly count: number
  /** Messages that the engine, or this page, did not show. */
  readonly leftOut: number
}

export const nothingSeen: Seen = { rows: [], count: 0, leftOut: 0 }

/** Rows that are kept; older messages are forgotten. */
const rowsMax = 200

/** @param events in the order in which they came */
export function withEvents(seen: Seen, events: readonly EngineEvent[]): Seen {
  const fresh: Row[] = []
  const changed = new Map<string, Row>()
  const known = new Map(seen.rows.map((row) => [row.message.messageId, row]))
  const change = (messageId: string, changeRow: (row: Row) => Row) => {
    const row = changed.get(messageId) ?? known.get(messageId)
    if (row) changed.set(messageId, changeRow(row))
  }
  let leftOut = 0
  for (const { name, data } of events) {
    if (name === 'message') {
      const row: Row = { message: data, records: [] }
      fresh.push(row)
      known.set(data.messageId, row)
    } else if (name === 'leftOut') {
      leftOut += data.count
    } else if (name === 'durable') {
      change(data.messageId, (row) => ({ ...row, durableMs: data.latencyMs }))
    } else {
      change(data.messageId, (row) => ({ ...row, records: [...row.records, data] }))
    }
  }
  const rows = [...fresh.toReversed(), ...seen.rows].slice(0, rowsMax)
  return {
    rows: rows.map((row) => changed.get(row.message.messageId) ?? row),
    count: seen.count + fresh.length,
    leftOut: seen.leftOut + leftOut,
  }
}

/** What a row says at a glance. */
export function stateOf({ message, records }: Row): {
  readonly mark: string
  readonly words: string
} {
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
