import type { SubscriptionOptions } from './packets-in.ts'
import type { Profile } from './profile.ts'

/** The subscriptions of one message together. */
export interface MatchedOptions {
  readonly qos: 0 | 1 | 2
  readonly retainAsPublished: boolean
  readonly identifiers: readonly number[]
}

/**
 * The options of all filters that match, together: a message is sent once, with the highest QoS of
 * them, [MQTT-3.3.4-2].
 *
 * @param isOwn whether the client has published the message itself
 * @returns undefined when the client is not to get it
 */
export function matchOptions(
  subscriptions: ReadonlyMap<string, SubscriptionOptions>,
  topic: string,
  filterMatches: Profile['filterMatches'],
  isOwn: boolean,
): MatchedOptions | undefined {
  let qos: 0 | 1 | 2 | undefined
  let retainAsPublished = false
  const identifiers: number[] = []
  for (const [filter, options] of subscriptions) {
    if (isOwn && options.noLocal) continue
    if (!filterMatches(filter, topic)) continue
    if (qos === undefined || options.qos > qos) ({ qos } = options)
    retainAsPublished ||= options.retainAsPublished
    if (options.identifier !== undefined) identifiers.push(options.identifier)
  }
  return qos === undefined ? undefined : { qos, retainAsPublished, identifiers }
}
