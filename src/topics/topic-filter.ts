/**
 * What a topic filter may be and which topics it matches: for rules (`FROM`) and for subscriptions
 * of MQTT clients alike. Sources: [MQTT-4.7.1-2], [MQTT-4.7.1-3], [MQTT-4.7.2-1], [MQTT-4.7.3-1],
 * [MQTT-4.7.3-2]; AWS IoT, "Topic filters" and "Message broker quotas".
 */

/** The limits of topics and of topic filters, which an operator may set. */
export interface TopicLimits {
  /** UTF-8 bytes of a topic, without a Basic Ingest prefix, and of a topic filter. */
  readonly topicBytesMax: number
  /** Slashes in a topic, without those of a Basic Ingest prefix, and in a topic filter. */
  readonly topicSlashesMax: number
  /**
   * Whether clients may publish to topics that begin with `$`, apart from those of the broker and
   * of AWS IoT. Absent: no.
   */
  readonly takesDollarTopics?: boolean | undefined
}

/** The limits of AWS IoT. */
export const awsTopicLimits: TopicLimits = Object.freeze({ topicBytesMax: 256, topicSlashesMax: 7 })

interface TopicFilterFault {
  readonly problem: string
  /** The offset in the filter, in UTF-16 units. */
  readonly at: number
}

/** @returns what is wrong with a topic filter and where, or undefined for a valid one */
export function findTopicFilterFault(
  filter: string,
  { topicBytesMax, topicSlashesMax }: TopicLimits = awsTopicLimits,
): TopicFilterFault | undefined {
  if (filter === '') return { problem: 'the topic filter is empty', at: 0 }
  const nullAt = filter.indexOf('\0')
  if (nullAt !== -1) return { problem: 'the topic filter holds U+0000', at: nullAt }
  if (Buffer.byteLength(filter) > topicBytesMax) {
    return { problem: `the topic filter is longer than ${topicBytesMax} bytes`, at: 0 }
  }
  const levels = filter.split('/')
  if (levels.length > topicSlashesMax + 1) {
    return { problem: `the topic filter has more than ${topicSlashesMax} slashes`, at: 0 }
  }
  return findMisplacedWildcard(levels)
}

function findMisplacedWildcard(levels: readonly string[]): TopicFilterFault | undefined {
  let at = 0
  for (const [index, level] of levels.entries()) {
    if (/[+#]/.test(level) && level.length > 1) {
      return { problem: "'+' and '#' stand alone in a level of the topic filter", at }
    }
    if (level === '#' && index < levels.length - 1) {
      return { problem: "'#' is the last level of a topic filter", at }
    }
    at += level.length + 1
  }
  return undefined
}

/**
 * Whether the topic filter of a rule matches a topic, as AWS IoT documents it: `#` stands for one
 * level or more, so `a/#` does not match `a`.
 *
 * @param filter a filter in which `findTopicFilterFault` finds no fault
 */
export function ruleFilterMatches(filter: string, topic: string): boolean {
  return filterMatches(filter, topic, { hashMatchesParent: false })
}

/** The same for the topic filter of an MQTT client, where `a/#` matches `a` [MQTT-4.7.1-2]. */
export function subscriptionMatches(filter: string, topic: string): boolean {
  return filterMatches(filter, topic, { hashMatchesParent: true })
}

function filterMatches(
  filter: string,
  topic: string,
  { hashMatchesParent }: { readonly hashMatchesParent: boolean },
): boolean {
  // A wildcard in the first level matches no topic that begins with `$` [MQTT-4.7.2-1].
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false
  const wanted = filter.split('/')
  const levels = topic.split('/')
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return index < levels.length || hashMatchesParent
    if (index >= levels.length) return false
    if (level !== '+' && level !== levels[index]) return false
  }
  return wanted.length === levels.length
}
