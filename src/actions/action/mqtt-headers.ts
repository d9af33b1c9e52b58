import { orFault } from '../../base/errors.ts'
import type { SluiceError } from '../../base/errors.ts'
import { findTopicTextFault } from '../../topics/topic.ts'
import type { TopicLimits } from '../../topics/topic-filter.ts'
import type { Mqtt5Properties } from '../../message.ts'
import type { CompiledStatement, Scope } from '../../sql/sql.ts'
import { compileField, noTemplate } from './compile-field.ts'

/**
 * AWS IoT's MqttHeaders: properties of MQTT 5, all of them templates. Rules that see the
 * republished message can read them; subscribers of MQTT 5 get them, those of 3.1.1 do not.
 */
export interface MqttHeadersDefinition {
  /** `UNSPECIFIED_BYTES` or `UTF8_DATA`. */
  readonly payloadFormatIndicator?: string
  readonly contentType?: string
  readonly responseTopic?: string
  /** Base64. */
  readonly correlationData?: string
  /** Seconds. */
  readonly messageExpiry?: string
  readonly userProperties?: readonly { readonly key: string; readonly value: string }[]
}

/** The properties, or the problem with one of them and its field. */
type ExpandedHeaders =
  | { readonly mqtt5: Mqtt5Properties | undefined }
  | { readonly problem: string; readonly where: string }

interface CompiledHeaders {
  /** Leaves out headers that expand to nothing. Never throws. */
  expand(scope: Scope): ExpandedHeaders
}

/** AWS IoT quotas, message broker. */
export const mqttHeaderLimits = Object.freeze({
  contentTypeBytesMax: 256,
  correlationDataBytesMax: 8_192,
  userPropertiesBytesMax: 8_192,
  /** [MQTT 5, 3.3.2.3.3]: four bytes. */
  messageExpirySecondsMax: 0xffff_ffff,
})

/**
 * Checks a text that a sender gives, as brokers of MQTT 5 check strings: they must not hold U+0000
 * or a lone surrogate [MQTT-1.5.4-1] [MQTT-1.5.4-2], and a receiver may refuse other control
 * characters and non-characters (section 1.5.4).
 *
 * @returns what is wrong with it, without the text itself; undefined when nothing is
 */
export function findStringFault(text: string): string | undefined {
  const [found] = forbiddenCharacter.exec(text) ?? []
  if (found === undefined) return undefined
  const code = (found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
  return `holds U+${code}, which no string of MQTT may hold`
}

/** The same for a text that a rule makes: what no packet of MQTT 5 may hold fails the action. */
function findTextFault(text: string): string | undefined {
  if (text.includes('\0')) return 'holds U+0000, which no string of MQTT may hold'
  return /\p{Cs}/u.test(text) ? 'holds half of a surrogate pair, which is no character' : undefined
}

const forbiddenCharacter = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u

/** The faults get a SqlParseException for each template that cannot be read, naming the field. */
export function compileMqttHeaders(
  { userProperties = [], ...definition }: MqttHeadersDefinition,
  statement: CompiledStatement,
  {
    place,
    topicLimits,
    faults,
  }: {
    readonly place: string
    readonly topicLimits: TopicLimits | undefined
    readonly faults: SluiceError[]
  },
): CompiledHeaders {
  const compile = (text: string, name: string) => ({
    name,
    template:
      orFault(faults, () => compileField(text, statement, `${place}.${name}`)) ?? noTemplate,
  })
  const singles = Object.entries(definition).map(([name, text]) => compile(text, name))
  const pairs = userProperties.map(({ key, value }, index) => ({
    key: compile(key, `userProperties[${index}].key`).template,
    value: compile(value, `userProperties[${index}].value`).template,
  }))
  if (singles.length + pairs.length === 0) return { expand: () => ({ mqtt5: undefined }) }

  return {
    expand(scope) {
      const given: Record<string, string> = {}
      for (const { name, template } of singles) given[name] = template.expand(scope)
      const userTexts = pairs.map(
        ({ key, value }) => [key.expand(scope), value.expand(scope)] as const,
      )
      const read = readMqttHeaders(given, userTexts, topicLimits)
      if ('mqtt5' in read) return read
      return { problem: read.problem, where: `${place}.${read.name}` }
    },
  }
}

/**
 * Checks the headers and makes properties of them. An empty text counts as absent.
 *
 * @param given by AWS's names: `payloadFormatIndicator`, `contentType`, `responseTopic`,
 *   `correlationData`, `messageExpiry`
 * @param topicLimits the limits of `responseTopic`. Absent: those of AWS IoT
 */
export function readMqttHeaders(
  given: Readonly<Record<string, string | undefined>>,
  userProperties: readonly (readonly [string, string])[],
  topicLimits?: TopicLimits,
): { readonly mqtt5: Mqtt5Properties } | { readonly problem: string; readonly name: string } {
  const mqtt5: { -readonly [Name in keyof Mqtt5Properties]: Mqtt5Properties[Name] } = {}
  for (const [name, text] of Object.entries(given)) {
    if (text === undefined || text === '') continue
    const problem = readHeader(name, text, mqtt5, topicLimits)
    if (problem !== undefined) return { problem, name }
  }
  if (userProperties.length > 0) {
    const bytes = userProperties.flat().reduce((sum, text) => sum + Buffer.byteLength(text), 0)
    if (bytes > mqttHeaderLimits.userPropertiesBytesMax) {
      return { problem: `${bytes} bytes of user properties are too many`, name: 'userProperties' }
    }
    for (const [index, [key, value]] of userProperties.entries()) {
      const name = `userProperties[${index}]`
      const ofKey = findTextFault(key)
      if (ofKey !== undefined) return { problem: ofKey, name: `${name}.key` }
      const ofValue = findTextFault(value)
      if (ofValue !== undefined) return { problem: ofValue, name: `${name}.value` }
    }
    mqtt5.userProperties = userProperties
  }
  return { mqtt5 }
}

/** Puts one header into `mqtt5`, or returns what is wrong with it. */
function readHeader(
  name: string,
  text: string,
  mqtt5: { -readonly [Name in keyof Mqtt5Properties]: Mqtt5Properties[Name] },
  topicLimits: TopicLimits | undefined,
): string | undefined {
  switch (name) {
    case 'payloadFormatIndicator': {
      if (text !== 'UNSPECIFIED_BYTES' && text !== 'UTF8_DATA') {
        return `"${text}" is neither UNSPECIFIED_BYTES nor UTF8_DATA`
      }
      mqtt5.payloadFormatIndicator = text === 'UTF8_DATA' ? 1 : 0
      return undefined
    }
    case 'contentType': {
      const { contentTypeBytesMax } = mqttHeaderLimits
      if (Buffer.byteLength(text) > contentTypeBytesMax) return `over ${contentTypeBytesMax} bytes`
      const fault = findTextFault(text)
      if (fault !== undefined) return fault
      mqtt5.contentType = text
      return undefined
    }
    case 'responseTopic': {
      const fault = findTopicTextFault(text.startsWith('$') ? text.slice(1) : text, topicLimits)
      if (fault) return `"${text.slice(0, 140)}": ${fault.detail}`
      mqtt5.responseTopic = text
      return undefined
    }
    case 'correlationData': {
      const bytes = Buffer.from(text, 'base64')
      if (bytes.toString('base64') !== text) return 'not base64 (with padding)'
      const { correlationDataBytesMax } = mqttHeaderLimits
      if (bytes.length > correlationDataBytesMax) return `over ${correlationDataBytesMax} bytes`
      mqtt5.correlationData = bytes
      return undefined
    }
    case 'messageExpiry': {
      const seconds = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
      const { messageExpirySecondsMax } = mqttHeaderLimits
      if (!(seconds <= messageExpirySecondsMax)) {
        return `"${text.slice(0, 40)}" is not a number of seconds from 0 to ${messageExpirySecondsMax}`
      }
      mqtt5.messageExpirySeconds = seconds
      return undefined
    }
    default:
      return undefined
  }
}
