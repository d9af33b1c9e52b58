import { Type } from 'typebox'
import { invalidRequest } from '../../base/errors.ts'
import { fieldOfAction } from '../action/action.ts'
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

const anyOf = (...values: readonly string[]) => values
/** AWS IoT developer guide, "Apache Kafka": the values of properties that have a choice. */
const choices: Readonly<Record<string, readonly string[]>> = {
  'security.protocol': anyOf('SSL', 'SASL_SSL'),
  acks: anyOf('-1', '0', '1', 'all'),
  'compression.type': anyOf('none', 'gzip', 'snappy', 'lz4', 'zstd'),
  'sasl.mechanism': anyOf('PLAIN', 'SCRAM-SHA-512', 'GSSAPI'),
}
/** The properties that take any text, and those among them that take templates. */
const properties = new Set([
  ...Object.keys(choices),
  'bootstrap.servers',
  'key.serializer',
  'value.serializer',
  'ssl.truststore',
  'ssl.truststore.password',
  'ssl.keystore',
  'ssl.keystore.password',
  'ssl.key.password',
  'sasl.plain.username',
  'sasl.plain.password',
  'sasl.scram.username',
  'sasl.scram.password',
  'sasl.kerberos.keytab',
  'sasl.kerberos.service.name',
  'sasl.kerberos.krb5.kdc',
  'sasl.kerberos.krb5.realm',
  'sasl.kerberos.principal',
])

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
  plan({ headers = [], clientProperties, ...definition }, { index }) {
    checkProperties(clientProperties, `${fieldOfAction(index)}.kafka.clientProperties`)
    return actionPlan({
      templates: {
        topic: template(definition.topic, topicName),
        key: optionalTemplate(definition.key),
        partition: optionalTemplate(definition.partition, partition),
        headers: headers.map(({ key, value }) => ({
          key: template(key, headerText),
          value: template(value, headerText),
        })),
        // Secrets are read when the connection is made; here only their templates are checked.
        clientProperties: Object.fromEntries(
          Object.entries(clientProperties).map(([name, value]) => [name, template(value)]),
        ),
      },
      target: () => definition.destinationArn,
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

function checkProperties(given: Readonly<Record<string, string>>, place: string): void {
  if (!given['bootstrap.servers']) throw invalidRequest(`${place}: bootstrap.servers is missing`)
  for (const [name, value] of Object.entries(given)) {
    if (!properties.has(name)) throw invalidRequest(`${place}: ${name} is not a known property`)
    const allowed = choices[name]
    if (allowed === undefined || allowed.includes(value)) continue
    throw invalidRequest(`${place}: ${name} must be one of ${allowed.join(', ')}`)
  }
}
