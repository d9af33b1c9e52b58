import { Type } from 'typebox'
import { faultsOfProperties } from '../../kafka/client-properties.ts'
import { optionalTemplate, template } from '../action/action-template.ts'
import { closed, optionalTextType, textType } from '../action/field-types.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { integerBetween, lengthBetween, matching } from '../action/text-checks.ts'

/** Apache Kafka: org.apache.kafka.common.internals.Topic. */
const topicName = matching(
  /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/,
  'the name of a topic: 1 to 249 letters, digits, ".", "_" or "-"',
)
const partition = integerBetween(0n, 2_147_483_647n)
const headerText = lengthBetween(0, 16_384)

const destinationArn = Type.String({
  pattern: '^arn:aws[a-z-]*:iot:[a-z0-9-]+:[0-9]{12}:ruledestination/[a-zA-Z]+/\\S+$',
})

/** Produces the output of the rule to a topic of Apache Kafka. */
export const kafkaAction = serviceAction({
  kind: 'kafka',
  schema: Type.Object(
    {
      destinationArn,
      topic: textType,
      key: optionalTextType,
      partition: optionalTextType,
      headers: Type.Optional(
        Type.Array(Type.Object({ key: textType, value: textType }, closed), {
          minItems: 1,
          maxItems: 100,
        }),
      ),
      clientProperties: Type.Record(Type.String(), Type.String()),
    },
    closed,
  ),
  faultsOf: ({ clientProperties }, { place }) =>
    faultsOfProperties(clientProperties, `${place}.clientProperties`),
  plan({ headers = [], clientProperties, ...definition }) {
    return actionPlan({
      templates: {
        topic: template(definition.topic, topicName),
        key: optionalTemplate(definition.key),
        partition: optionalTemplate(definition.partition, partition),
        headers: headers.map(({ key, value }) => ({
          key: template(key, headerText),
          value: template(value, headerText),
        })),
      },
      // Secrets are read when a connection is made. The destination of AWS IoT leads into a VPC:
      // here the brokers are reached as they are.
      clientProperties: Object.freeze(
        Object.fromEntries(
          Object.entries(clientProperties).toSorted(([one], [other]) => (one < other ? -1 : 1)),
        ),
      ),
      target: ({ topic }) => topic,
      call: (texts) => ({
        operation: 'Produce',
        parameters: {
          topic: texts.topic,
          ...(texts.key !== undefined && { key: texts.key }),
          ...(texts.partition !== undefined && { partition: Number(texts.partition) }),
          ...(texts.headers.length > 0 && {
            headers: texts.headers.map((header) => ({ ...header })),
          }),
        },
        body: { member: 'value', as: 'bytes' },
        orderKey: `${texts.topic}\n${texts.partition ?? ''}\n${texts.key ?? ''}`,
      }),
    })
  },
})
