import { useState } from 'preact/hooks'
import { clockTime, grouped } from '../../parts/figures.ts'
import { Payload } from '../../parts/payload.tsx'
import { Empty } from '../../parts/status.tsx'
import { visibleText } from '../../parts/visible-text.ts'
import { filterMatches } from './history.ts'
import type { KeptMessage } from './history.ts'
import { Dot } from './subscriptions.tsx'
import type { SubscriptionState } from './subscriptions.tsx'

/** Rows that are drawn; "more" draws as many again. */
const drawnMax = 100
const previewMax = 120

/** What has come, the newest first. A row opens the whole message. */
export function MessageList({
  messages,
  count,
  subscriptions,
}: {
  messages: readonly KeptMessage[]
  count: number
  subscriptions: readonly SubscriptionState[]
}) {
  const [open, setOpen] = useState<number>()
  const [drawn, setDrawn] = useState(drawnMax)
  if (messages.length === 0) {
    return (
      <Empty
        title={
          subscriptions.length === 0 ? 'Subscribe to see messages.' : 'No message has come yet.'
        }
      />
    )
  }
  const gone = count - messages.length
  return (
    <>
      <ol class="messages received">
        {messages.slice(0, drawn).map((message) => {
          const { number, atMs, topic, payload, qos, retain } = message
          const isOpen = open === number
          const of = subscriptions.find(({ filter }) => filterMatches(filter, topic))
          return (
            <li key={number}>
              <button
                type="button"
                class="message"
                aria-expanded={isOpen}
                onClick={() => setOpen(isOpen ? undefined : number)}
              >
                <time>{clockTime(atMs)}</time>
                <span class="topic">
                  <Dot colour={of?.colour} />
                  {visibleText(topic)}
                </span>
                <code class="preview">{previewOf(payload)}</code>
                <span class="kind">
                  QoS {qos}
                  {retain && ', retained'}
                </span>
              </button>
              {isOpen && <Message message={message} />}
            </li>
          )
        })}
      </ol>
      {messages.length > drawn && (
        <button type="button" onClick={() => setDrawn(drawn + drawnMax)}>
          Show {grouped(Math.min(drawnMax, messages.length - drawn))} more
        </button>
      )}
      {gone > 0 && <p class="kind">{grouped(gone)} older ones are not kept.</p>}
    </>
  )
}

function Message({ message: { payload, properties } }: { message: KeptMessage }) {
  return (
    <div class="letter">
      {properties.length > 0 && (
        <dl>
          {properties.map(([name, value], index) => [
            <dt key={`name ${index}`}>{visibleText(name)}</dt>,
            <dd key={`value ${index}`}>{visibleText(value)}</dd>,
          ])}
        </dl>
      )}
      <Payload base64={base64Of(payload)} />
      <p class="kind">{grouped(payload.length)} bytes</p>
    </div>
  )
}

function previewOf(payload: Uint8Array): string {
  const text = new TextDecoder().decode(payload.subarray(0, previewMax))
  return visibleText(text.replaceAll(/\s+/g, ' ')) + (payload.length > previewMax ? ' ...' : '')
}

function base64Of(bytes: Uint8Array): string {
  let text = ''
  for (let start = 0; start < bytes.length; start += 8_192) {
    text += String.fromCharCode(...bytes.subarray(start, start + 8_192))
  }
  return btoa(text)
}
