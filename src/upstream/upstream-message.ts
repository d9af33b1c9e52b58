import { randomUUID } from 'node:crypto'
import type { IPublishPacket } from 'mqtt'
import type { Clock } from '../base/clock.ts'
import { defined } from '../base/defined.ts'
import type { Message, Mqtt5Properties } from '../message.ts'
import { findTopicTextFault, parseBasicIngest } from '../topics/topic.ts'
import type { TopicLimits } from '../topics/topic-filter.ts'

const dollar = '$'

/** Why a message of the upstream broker is acknowledged and nothing else is done with it. */
export interface UnusableMessage {
  /** The outcome that metrics count. */
  readonly outcome: 'invalid' | 'retained'
  readonly detail: string
}

/**
 * Looks whether a message can be used at all. The broker would send one that is not acknowledged
 * again and again, so it is not refused.
 *
 * @returns undefined for one that can
 */
export function findUnusable(
  { topic, payload, retain }: IPublishPacket,
  limits: TopicLimits & { readonly payloadBytesMax: number },
): UnusableMessage | undefined {
  // Set only on what was retained before the subscription, [MQTT-3.3.1-8] and [MQTT-3.3.1-9].
  if (retain) return { outcome: 'retained', detail: 'it was retained before the subscription' }
  const fault = findTopicTextFault(...checkedPart(topic, limits))
  if (fault !== undefined) return { outcome: 'invalid', detail: fault.detail }
  if (payload.length <= limits.payloadBytesMax) return undefined
  const detail = `the payload is over ${limits.payloadBytesMax} bytes (SLUICE_MQTT_PAYLOAD_BYTES_MAX)`
  return { outcome: 'invalid', detail }
}

/** Reserved topics are as the other broker has them; only their length is bounded here. */
function checkedPart(topic: string, limits: TopicLimits): [string, TopicLimits] {
  const isReserved = topic.startsWith(dollar) && parseBasicIngest(topic) === undefined
  return isReserved ? [topic.slice(1), { ...limits, topicSlashesMax: Infinity }] : [topic, limits]
}

/**
 * The message as the engine sees it.
 *
 * @param clientId of Sluice at that broker: MQTT does not say who published a message
 */
export function upstreamMessage(
  { topic, payload, qos, properties }: IPublishPacket,
  { clientId, clock }: { readonly clientId: string; readonly clock: Pick<Clock, 'wallMs'> },
): Message {
  const basicIngest = parseBasicIngest(topic)
  return {
    topic: basicIngest?.topic ?? topic,
    basicIngestRule: basicIngest?.rule,
    // A copy, because the payload is a view of a chunk that may hold many messages.
    payload: Buffer.from(payload),
    qos,
    retain: false,
    transport: 'mqtt',
    clientId,
    traceId: randomUUID(),
    timestampMs: clock.wallMs(),
    mqtt5: properties && propertiesOf(properties),
    isFromUpstream: true,
  }
}

/**
 * Whether subscribers here get the message. Topics that begin with `$` belong to each broker for
 * itself: a device here must not take an answer of that broker for one of this engine.
 */
export const isForSubscribers = ({ topic, basicIngestRule }: Message): boolean =>
  basicIngestRule === undefined && !topic.startsWith(dollar)

function propertiesOf(
  properties: NonNullable<IPublishPacket['properties']>,
): Mqtt5Properties | undefined {
  const { payloadFormatIndicator: isText, userProperties } = properties
  const pairs = Object.entries(userProperties ?? {}).flatMap(([name, value]) =>
    [value].flat().map((one) => [name, one] as const),
  )
  const found: Mqtt5Properties = defined({
    contentType: properties.contentType,
    payloadFormatIndicator: isText === undefined ? undefined : isText ? (1 as const) : (0 as const),
    responseTopic: properties.responseTopic,
    correlationData: properties.correlationData && Buffer.from(properties.correlationData),
    userProperties: pairs.length === 0 ? undefined : pairs,
    messageExpirySeconds: properties.messageExpiryInterval,
  })
  return Object.keys(found).length === 0 ? undefined : found
}
