import { randomUUID } from 'node:crypto'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { findStringFault } from '../../actions/action/mqtt-headers.ts'
import { invalidRequest } from '../../base/errors.ts'
import { findTopicTextFault, parseBasicIngest } from '../../topics/topic.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { payloadBytesMaxDefault } from '../../message.ts'
import type { Message, Mqtt5Properties } from '../../message.ts'

/**
 * A message as people write it: in `/v1/evaluate`, and in the tests beside a rule.
 *
 * The payload is either `payload`, any JSON value, whose text the message gets unchanged, or
 * `payloadBase64`, the exact bytes.
 */
export const mqtt5Schema = Type.Object(
  {
    contentType: Type.Optional(Type.String()),
    payloadFormatIndicator: Type.Optional(Type.Enum([0, 1])),
    responseTopic: Type.Optional(Type.String()),
    correlationDataBase64: Type.Optional(Type.String()),
    userProperties: Type.Optional(Type.Array(Type.Tuple([Type.String(), Type.String()]))),
    messageExpirySeconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 0xffff_ffff })),
  },
  { additionalProperties: false },
)

export const messageRequestSchema = Type.Object(
  {
    topic: Type.String(),
    payload: Type.Optional(Type.Unknown()),
    payloadBase64: Type.Optional(Type.String()),
    clientId: Type.Optional(Type.String()),
    qos: Type.Optional(Type.Enum([0, 1, 2])),
    transport: Type.Optional(Type.Enum(['mqtt', 'http'])),
    /** Epoch milliseconds, which `timestamp()` returns. */
    timestamp: Type.Optional(Type.Integer({ minimum: 0, maximum: 8_640_000_000_000_000 })),
    accountId: Type.Optional(Type.String({ pattern: '^[0-9]{12}$' })),
    principal: Type.Optional(Type.String()),
    sourceIp: Type.Optional(Type.String()),
    traceId: Type.Optional(Type.String()),
    /** Accepted for completeness; no function of the language returns it. */
    mqttVersion: Type.Optional(Type.Enum(['3.1.1', '5'])),
    mqtt5: Type.Optional(mqtt5Schema),
  },
  { additionalProperties: false },
)
export type MessageRequest = Static<typeof messageRequestSchema>

interface MessageSource {
  /** The text of `payload` in the document that the request was read from. */
  readonly payloadText: string | undefined
  /** The place of the request in its document, for error messages: `message`, `[2].message`. */
  readonly where: string
  /** Epoch milliseconds, for a request without `timestamp`. */
  readonly nowMs: number
  /** By default AWS IoT's limits. */
  readonly topicLimits?: TopicLimits | undefined
  /** Bytes of a payload; by default AWS IoT's limit. */
  readonly payloadBytesMax?: number | undefined
}

/**
 * @param request checked against `messageRequestSchema`
 * @throws SluiceError InvalidRequestException, naming the field
 */
export function messageOfRequest(request: MessageRequest, source: MessageSource): Message {
  const { clientId, principal, sourceIp, traceId, mqtt5 } = request
  return {
    ...topicOf(request.topic, source),
    payload: payloadOf(request, source),
    qos: request.qos ?? 0,
    retain: false,
    transport: request.transport ?? 'mqtt',
    timestampMs: request.timestamp ?? source.nowMs,
    clientId,
    principal,
    sourceIp,
    // A message that arrives has one, too.
    traceId: traceId ?? randomUUID(),
    mqtt5: mqtt5 && mqtt5Of(mqtt5, source.where),
  }
}

/** Rules may also be tried on AWS's own topics, such as those of shadows. */
function topicOf(
  topic: string,
  { where, topicLimits }: MessageSource,
): Pick<Message, 'topic' | 'basicIngestRule'> {
  const faultOf = (text: string) => findTopicTextFault(text, topicLimits)
  const fault = faultOf(topic)
  const checked = fault?.reason === 'topic_reserved' ? faultOf(topic.slice(1)) : fault
  if (checked) throw invalidRequest(`${where}.topic: ${checked.detail}`)
  const basicIngest = parseBasicIngest(topic)
  if (!basicIngest) return { topic }
  return { topic: basicIngest.topic, basicIngestRule: basicIngest.rule }
}

/** The topic as a request would give it: the inverse of `topicOf`. */
export function topicAsWritten({
  topic,
  basicIngestRule: rule,
}: Pick<Message, 'topic' | 'basicIngestRule'>): string {
  return rule === undefined ? topic : `$aws/rules/${rule}/${topic}`
}

/** MQTT 5 properties as a request would give them: the inverse of `mqtt5Of`. */
export function mqtt5AsWritten({
  correlationData,
  userProperties,
  ...properties
}: Mqtt5Properties): Static<typeof mqtt5Schema> {
  return {
    ...properties,
    ...(correlationData && { correlationDataBase64: correlationData.toString('base64') }),
    ...(userProperties && { userProperties: userProperties.map(([name, of]) => [name, of]) }),
  }
}

function payloadOf(
  request: MessageRequest,
  { payloadText, where, payloadBytesMax = payloadBytesMaxDefault }: MessageSource,
): Buffer {
  const { payloadBase64 } = request
  if (payloadText !== undefined && payloadBase64 !== undefined) {
    throw invalidRequest(`${where} has both payload and payloadBase64: give one of them`)
  }
  if (payloadText === undefined && payloadBase64 === undefined) {
    throw invalidRequest(`${where}.payload is missing; payloadBase64 may stand in its place`)
  }
  const payload =
    payloadBase64 === undefined
      ? Buffer.from(payloadText ?? '')
      : decodeBase64(payloadBase64, `${where}.payloadBase64`)
  if (payload.length <= payloadBytesMax) return payload
  throw invalidRequest(
    `the payload of ${where} has ${payload.length} bytes; at most ${payloadBytesMax} are taken`,
  )
}

function mqtt5Of(given: Static<typeof mqtt5Schema>, where: string): Mqtt5Properties {
  const { correlationDataBase64: data, ...properties } = given
  const { contentType = '', responseTopic = '', userProperties = [] } = properties
  const texts = { contentType, responseTopic, userProperties: userProperties.flat() }
  for (const [name, of] of Object.entries(texts)) {
    const problem = [of].flat().map(findStringFault).find(Boolean)
    if (problem !== undefined) throw invalidRequest(`${where}.mqtt5.${name} ${problem}`)
  }
  if (data === undefined) return properties
  const correlationData = decodeBase64(data, `${where}.mqtt5.correlationDataBase64`)
  return { ...properties, correlationData }
}

/** Node's decoder ignores characters that are no base64, but a typing error should be reported. */
function decodeBase64(text: string, field: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') === text) return bytes
  throw invalidRequest(`${field} is not base64 (with padding)`)
}
