import { fieldsOf } from '../../parts/fields.ts'
import { visibleText } from '../../parts/visible-text.ts'
import { QosField, readQos } from './qos-field.tsx'

export interface SubscriptionState {
  readonly filter: string
  readonly qos: number
  /** 1 to 4. */
  readonly colour: number
}

export const Dot = ({ colour }: { colour: number | undefined }) => (
  <span class={`dot dot-${colour ?? 0}`} aria-hidden="true" />
)

/** What the client is subscribed to. */
export function Subscriptions({
  first,
  subscriptions,
  subscribe,
  unsubscribe,
}: {
  /** The filter that a link names. */
  first: string
  subscriptions: readonly SubscriptionState[]
  subscribe: (filter: string, qos: 0 | 1 | 2) => Promise<boolean>
  unsubscribe: (filter: string) => void
}) {
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    const value = fieldsOf(form)
    await subscribe(value('filter'), readQos(value('subscribeQos')))
  }
  return (
    <section class="group" aria-labelledby="subscribe">
      <h2 id="subscribe">Subscribe</h2>
      <form class="filters mqtt-line" onSubmit={(event) => void submit(event)}>
        <label>
          Topic filter
          <input name="filter" class="code" required data-filter defaultValue={first || '#'} />
        </label>
        <QosField name="subscribeQos" />
        <button type="submit">Subscribe</button>
      </form>
      {subscriptions.length === 0 ? (
        <p class="kind">Nothing yet: `dt/#` gets what begins with dt/.</p>
      ) : (
        <ul class="subscribed">
          {subscriptions.map(({ filter, qos, colour }) => (
            <li key={filter}>
              <Dot colour={colour} />
              <code>{visibleText(filter)}</code>
              <span class="kind">QoS {qos}</span>
              <button
                type="button"
                class="quiet"
                aria-label={`Unsubscribe from ${filter}`}
                onClick={() => unsubscribe(filter)}
              >
                Unsubscribe
              </button>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}
