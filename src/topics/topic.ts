import { Buffer, isUtf8 } from 'node:buffer'
import { awsTopicLimits, findTopicFilterFault } from './topic-filter.ts'
import type { TopicLimits } from './topic-filter.ts'
import { parseReservedRequest } from './reserved-request.ts'
import { findGroupFault, isShared, parseSharedFilter } from './shared-filter.ts'

/**
 * What a topic may be: the rules of MQTT 3.1.1 section 4.7 and the limits of AWS IoT. What a topic
 * filter may be stands in `topic-filter.ts`.
 *
 * A Basic Ingest topic is `$aws/rules/<rule>/<topic>`: the message goes to that one rule, which
 * sees `<topic>`; the prefix does not count against the limits. `reserved-request.ts` names the
 * topics of AWS IoT's services that devices may publish to, as they are. Every other topic that
 * begins with `$` belongs to the broker.
 */

const ruleNameBytesMax = 128

const basicIngestPrefix = '$aws/rules/'
const statusPrefix = '$SYS'

/** UTF-8 bytes of the longest topic on the wire: prefix, rule name, slash, topic. */
export function wireTopicBytesMax({ topicBytesMax }: TopicLimits): number {
  return basicIngestPrefix.length + ruleNameBytesMax + 1 + topicBytesMax
}

interface TopicFault {
  readonly reason: 'topic_invalid' | 'topic_reserved'
  readonly detail: string
}

const invalid = (detail: string): TopicFault => Object.freeze({ reason: 'topic_invalid', detail })

const faults = {
  empty: invalid('the topic is empty'),
  wildcard: invalid('a topic to publish to has no wildcards'),
  nullCharacter: invalid('the topic holds U+0000'),
  notUtf8: invalid('the topic is not valid UTF-8'),
  ruleName: invalid(`the topic is not of the form ${basicIngestPrefix}<rule>/<topic>`),
  reserved: Object.freeze({
    reason: 'topic_reserved',
    detail:
      `topics that begin with $ are the broker's own, apart from ${basicIngestPrefix} and ` +
      'requests such as $aws/things/<thing>/shadow/update',
  } satisfies TopicFault),
  retained: Object.freeze({
    reason: 'topic_reserved',
    detail: 'a message on a topic that begins with $ cannot be retained',
  } satisfies TopicFault),
}

const dollar = 0x24
const slash = 0x2f
const hash = 0x23
const plus = 0x2b

const tooLong = ({ topicBytesMax }: TopicLimits) =>
  invalid(`the topic is longer than ${topicBytesMax} bytes`)
const tooDeep = ({ topicSlashesMax }: TopicLimits) =>
  invalid(`the topic has more than ${topicSlashesMax} slashes`)

/**
 * Checks a topic to publish to, on its raw bytes: once decoded, bad UTF-8 cannot be told from a
 * U+FFFD that was sent. Runs for every message: one pass and no allocation for a good topic.
 *
 * @param bytes holds the topic at `start` (inclusive) to `end` (exclusive)
 * @returns what is wrong, or undefined: [MQTT-1.5.3-1], [MQTT-1.5.3-2], [MQTT-3.3.2-2],
 *   [MQTT-4.7.3-1], and the limits
 */
export function findTopicFault(
  bytes: Buffer,
  start: number,
  end: number,
  limits: TopicLimits,
): TopicFault | undefined {
  if (start === end) return faults.empty
  let from = start
  if (bytes[start] === dollar) {
    from = basicIngestTopicStart(bytes, start, end)
    if (from === -1) {
      const text = bytes.toString('latin1', start, end)
      if (parseReservedRequest(text) !== undefined) return undefined
      if (limits.takesDollarTopics !== true || ownTopicPattern.test(text)) return faults.reserved
      from = start
    }
    if (from === -2) return faults.ruleName
  }
  if (end - from > limits.topicBytesMax) return tooLong(limits)
  let slashes = 0
  let ascii = true
  for (let index = from; index < end; index++) {
    const byte = bytes[index]
    if (byte === slash) slashes++
    else if (byte === hash || byte === plus) return faults.wildcard
    else if (byte === 0) return faults.nullCharacter
    else if (byte !== undefined && byte > 0x7f) ascii = false
  }
  if (slashes > limits.topicSlashesMax) return tooDeep(limits)
  if (!ascii && !isUtf8(bytes.subarray(from, end))) return faults.notUtf8
  return undefined
}

/**
 * Messages on reserved topics, those of Basic Ingest too, cannot be retained [AWS IoT Developer
 * Guide, "MQTT retained messages"].
 *
 * @param first the first byte or code unit of the topic
 */
export function findRetainFault(isRetained: boolean, first: number): TopicFault | undefined {
  return isRetained && first === dollar ? faults.retained : undefined
}

/** `findTopicFault` for a topic that is a string. */
export function findTopicTextFault(
  topic: string,
  limits: TopicLimits = awsTopicLimits,
): TopicFault | undefined {
  const bytes = Buffer.from(topic)
  // U+FFFD replaces invalid UTF-8, and lone surrogates, which UTF-8 cannot encode.
  if (bytes.toString().includes('\ufffd')) return faults.notUtf8
  return findTopicFault(bytes, 0, bytes.length, limits)
}

/** Where `<topic>` begins; -1 when it is no Basic Ingest topic, -2 when the rule name is bad. */
function basicIngestTopicStart(bytes: Buffer, start: number, end: number): number {
  const ruleStart = start + basicIngestPrefix.length
  if (bytes.toString('latin1', start, Math.min(ruleStart, end)) !== basicIngestPrefix) return -1
  const found = bytes.indexOf(slash, ruleStart)
  const ruleEnd = found === -1 || found > end ? end : found
  if (!ruleNamePattern.test(bytes.toString('latin1', ruleStart, ruleEnd))) return -2
  return Math.min(ruleEnd + 1, end)
}

/** Topics that are the broker's own, whatever else it takes. */
const ownTopicPattern = /^\$(?:aws|share|SYS)(?:\/|$)/

const ruleNamePattern = new RegExp(`^[a-zA-Z0-9_]{1,${ruleNameBytesMax}}$`)

/**
 * Splits a Basic Ingest topic.
 *
 * @param topic one that `findTopicFault` finds no fault in
 * @returns the rule and the topic that the rule sees (empty where nothing follows the rule name),
 *   or undefined for any other topic
 */
export function parseBasicIngest(topic: string): { rule: string; topic: string } | undefined {
  if (!isBasicIngest(topic)) return undefined
  const ruleEnd = topic.indexOf('/', basicIngestPrefix.length)
  if (ruleEnd === -1) return { rule: topic.slice(basicIngestPrefix.length), topic: '' }
  return { rule: topic.slice(basicIngestPrefix.length, ruleEnd), topic: topic.slice(ruleEnd + 1) }
}

export function isBasicIngest(topic: string): boolean {
  // The first character decides for nearly every topic, with one comparison.
  return topic.charCodeAt(0) === dollar && topic.startsWith(basicIngestPrefix)
}

/**
 * Why a subscription is refused, or undefined when the filter may be granted: besides what no topic
 * filter may be, filters that would be granted and never get a message, and what the broker
 * publishes about itself, which shows the ids of all clients.
 */
export function findFilterFault(
  filter: string,
  limits: TopicLimits = awsTopicLimits,
): string | undefined {
  if (filter.includes('\ufffd')) return 'the topic filter is not valid UTF-8'
  if (!isShared(filter)) return findPlainFilterFault(filter, limits)
  const shared = parseSharedFilter(filter)
  if (shared === undefined) return 'a shared subscription has the form $share/<group>/<filter>'
  const fault = findGroupFault(shared.group)
  if (fault !== undefined) return fault
  if (isShared(shared.filter)) return 'a shared subscription within a shared subscription'
  // The prefix does not count against the limits [AWS IoT, "Message broker quotas"].
  return findPlainFilterFault(shared.filter, limits)
}

function findPlainFilterFault(filter: string, limits: TopicLimits): string | undefined {
  if (filter.startsWith(basicIngestPrefix)) return 'nobody can subscribe to Basic Ingest topics'
  if (filter === statusPrefix || filter.startsWith(`${statusPrefix}/`)) {
    return `nobody can subscribe to ${statusPrefix}`
  }
  return findTopicFilterFault(filter, limits)?.problem
}
