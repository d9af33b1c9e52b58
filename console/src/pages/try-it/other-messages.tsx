import { ApiError } from '../../api/engine.ts'
import type { LiveMessages } from '../../api/live-messages.ts'
import { bytes as sizeOf, clockTime, grouped } from '../../parts/figures.ts'
import { textOf } from '../../parts/status.tsx'
import { visibleText } from '../../parts/visible-text.ts'
import { typedFrom } from './message.ts'
import type { TypedMessage } from './message.ts'

const liveShown = 20

/** The newest messages of live traffic; a click takes one. */
export function NewestLive({
  live: { messages, error, leftOut },
  onTake,
}: {
  live: LiveMessages
  onTake: (message: TypedMessage) => void
}) {
  if (error instanceof ApiError && error.code === 'AccessDeniedException') {
    return <p class="field-note">Live messages are not shown: {textOf(error)}</p>
  }
  const newest = messages.at(-1)
  if (!newest) {
    return (
      <p class="unit">
        {leftOut > 0
          ? `${grouped(leftOut)} messages came whose payloads are not shown.`
          : 'Messages that come for the rule while this page is open can be taken from here.'}
      </p>
    )
  }
  return (
    <div class="live-messages">
      <button type="button" onClick={() => onTake(typedFrom(newest))}>
        Take the newest live message
      </button>
      <details>
        <summary>or one of {grouped(messages.length)} that came</summary>
        <ol>
          {messages
            .slice(-liveShown)
            .toReversed()
            .map((message) => (
              <li key={message.messageId}>
                <button type="button" onClick={() => onTake(typedFrom(message))}>
                  <time>{clockTime(message.at)}</time>
                  <span class="topic">{visibleText(message.topic)}</span>
                  <span class="unit">{sizeOf(message.bytes)}</span>
                </button>
              </li>
            ))}
        </ol>
      </details>
    </div>
  )
}

/** What was tried before in this tab. */
export function LastMessages({
  messages,
  onTake,
}: {
  messages: readonly TypedMessage[]
  onTake: (message: TypedMessage) => void
}) {
  if (messages.length === 0) return null
  return (
    <details class="live-messages">
      <summary>Tried before in this tab: {messages.length}</summary>
      <ol>
        {messages.map((message, index) => (
          <li key={index}>
            <button type="button" onClick={() => onTake(message)}>
              <span class="topic">{visibleText(message.topic)}</span>
              <span class="topic">{visibleText(message.payload.slice(0, 60))}</span>
            </button>
          </li>
        ))}
      </ol>
    </details>
  )
}
