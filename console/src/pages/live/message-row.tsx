import { bytes, clockTime, duration } from '../../parts/figures.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { MessagePath } from './message-path.tsx'
import { stateOf } from './seen.ts'
import type { Row } from './seen.ts'

/** A message in one line, which opens its path. */
export function MessageRow({
  row,
  isOpen,
  onToggle,
}: {
  row: Row
  isOpen: boolean
  onToggle: (isOpen: boolean) => void
}) {
  const { message, records } = row
  const { mark, words } = stateOf(row)
  const latest = records.at(-1)?.latencyMs
  return (
    <li class={isOpen ? 'is-open' : ''}>
      <button
        type="button"
        class="message"
        aria-expanded={isOpen}
        onClick={() => onToggle(!isOpen)}
      >
        <time dateTime={message.at}>{clockTime(message.at)}</time>
        <span class={`mark ${mark}`}>{words}</span>
        <span class="topic">{visibleText(message.topic)}</span>
        <span class="client">{visibleText(message.clientId ?? '')}</span>
        <span class="number">{latest === undefined ? bytes(message.bytes) : duration(latest)}</span>
      </button>
      {isOpen && <MessagePath row={row} />}
    </li>
  )
}
