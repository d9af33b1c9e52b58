import { Type } from 'typebox'
import { findStringFault, readMqttHeaders } from '../../actions/action/mqtt-headers.ts'
import { SluiceError, invalidRequest } from '../../base/errors.ts'
import type { Mqtt5Properties } from '../../message.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import { readUserProperties } from './user-properties.ts'

/** How a request says the MQTT 5 properties of the message that it sends. */
const mqtt5Headers = {
  payloadFormatIndicator: 'x-amz-mqtt5-payload-format-indicator',
  correlationData: 'x-amz-mqtt5-correlation-data',
  userProperties: 'x-amz-mqtt5-user-properties',
} as const

export const propertyQuery = {
  contentType: Type.Optional(Type.String()),
  responseTopic: Type.Optional(Type.String()),
}

/** The payload of a message, in any encoding or none. */
export const messageBody = {
  schema: Type.String({
    description: 'The payload, at most `SLUICE_MQTT_PAYLOAD_BYTES_MAX` bytes.',
  }),
  type: 'application/octet-stream',
  isOptional: true,
}

export const propertyHeaders = Type.Object({
  [mqtt5Headers.userProperties]: Type.Optional(
    Type.String({ description: 'Base64 of a JSON array: `[{"name": "text"}]`.' }),
  ),
  [mqtt5Headers.payloadFormatIndicator]: Type.Optional(
    Type.Enum(['UNSPECIFIED_BYTES', 'UTF8_DATA']),
  ),
  [mqtt5Headers.correlationData]: Type.Optional(Type.String({ description: 'Base64.' })),
})

/**
 * @returns undefined when there are none
 * @throws SluiceError InvalidRequestException
 */
export function readMessageProperties(
  given: {
    readonly contentType?: string
    readonly responseTopic?: string
    readonly messageExpiry?: number
    readonly headers: Readonly<Record<string, string | string[] | undefined>>
  },
  topicLimits: TopicLimits | undefined,
): Mqtt5Properties | undefined {
  const header = (name: keyof typeof mqtt5Headers) => given.headers[mqtt5Headers[name]]?.toString()
  for (const name of ['contentType', 'responseTopic'] as const) {
    const problem = findStringFault(given[name] ?? '')
    if (problem !== undefined) throw invalidRequest(`${name} ${problem}`)
  }
  const read = readMqttHeaders(
    {
      contentType: given.contentType,
      responseTopic: given.responseTopic,
      messageExpiry: given.messageExpiry?.toString(),
      payloadFormatIndicator: header('payloadFormatIndicator'),
      correlationData: header('correlationData'),
    },
    readUserProperties(header('userProperties'), mqtt5Headers.userProperties),
    topicLimits,
  )
  if ('problem' in read) {
    throw new SluiceError('InvalidRequestException', `${read.name}: ${read.problem}`)
  }
  return Object.keys(read.mqtt5).length === 0 ? undefined : read.mqtt5
}
