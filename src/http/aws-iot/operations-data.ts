import { Type } from 'typebox'
import type { ErrorCode } from '../../base/errors.ts'
import { mqtt5Headers } from './iot-data.ts'
import { emptyAnswer, epochMs, nextTokenSchema } from '../server/operation.ts'
import type { Operations } from '../server/operation.ts'

/** AWS IoT's data plane. */
const common: readonly ErrorCode[] = [
  'InvalidRequestException',
  'UnauthorizedException',
  'MethodNotAllowedException',
  'ThrottlingException',
  'InternalFailureException',
]
const topic = {
  name: 'topic',
  description: 'The topic; `a/b` and `a%2Fb` are the same. Blanks and empty levels belong to it.',
}
const qos = Type.Integer({ minimum: 0, maximum: 1 })

export const dataPlaneOperations: Operations = Object.freeze({
  'POST /topics/*': {
    id: 'Publish',
    summary: 'Publishes a message: subscribers get it, and rules run on it.',
    description:
      'With QoS 1 the answer comes when every record that the message gave rise to is on disk.',
    rest: topic,
    headers: Type.Object({
      [mqtt5Headers.userProperties]: Type.Optional(
        Type.String({ description: 'Base64 of a JSON array: `[{"name": "text"}]`.' }),
      ),
      [mqtt5Headers.payloadFormatIndicator]: Type.Optional(
        Type.Enum(['UNSPECIFIED_BYTES', 'UTF8_DATA']),
      ),
      [mqtt5Headers.correlationData]: Type.Optional(Type.String({ description: 'Base64.' })),
    }),
    body: {
      schema: Type.String({ description: 'The payload, at most 128 KiB.' }),
      type: 'application/octet-stream',
      isOptional: true,
    },
    answer: {
      description: 'Published.',
      schema: Type.Object({ message: Type.String(), traceId: Type.String() }),
    },
    errors: [...common, 'ServiceUnavailableException'],
  },
  'GET /retainedMessage/*': {
    id: 'GetRetainedMessage',
    summary: 'Reads the message that is retained for a topic.',
    rest: topic,
    answer: {
      description: 'The message.',
      schema: Type.Object({
        topic: Type.String(),
        payload: Type.String({ description: 'Base64.' }),
        qos,
        lastModifiedTime: epochMs('Epoch milliseconds.'),
      }),
    },
    errors: [...common, 'ResourceNotFoundException'],
  },
  'GET /retainedMessage': {
    id: 'ListRetainedMessages',
    summary: 'Lists retained messages in the order of their topics.',
    answer: {
      description: 'A page.',
      schema: Type.Object({
        retainedTopics: Type.Array(
          Type.Object({
            topic: Type.String(),
            payloadSize: Type.Integer({ description: 'Bytes.' }),
            qos,
            lastModifiedTime: epochMs('Epoch milliseconds.'),
          }),
        ),
        nextToken: nextTokenSchema,
      }),
    },
    errors: common,
  },
  'DELETE /connections/:clientId': {
    id: 'DeleteConnection',
    summary: 'Ends the connection of an MQTT client.',
    answer: emptyAnswer,
    errors: [...common, 'ResourceNotFoundException'],
  },
} satisfies Operations)
