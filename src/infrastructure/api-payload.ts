import { booleanOf, isRecord, numberOf, textOf } from './json-values.ts'
import type { JsonObject } from './stack.ts'

/** Members whose keys are data of their author. */
const freeMaps = new Set(['clientProperties', 'tags'])
/** Members of the API that are no texts. */
const booleans = new Set([
  'ruleDisabled',
  'batchMode',
  'useBase64',
  'enableBatching',
  'batchAcrossTopics',
])
const integers = new Set(['qos', 'maxBatchOpenMs', 'maxBatchSize', 'maxBatchSizeBytes'])

/**
 * A `TopicRulePayload` of CloudFormation with the names and types of the API: names begin with a
 * small letter, and scalars are what the API takes, because templates write `"true"` and `1` as
 * they like.
 *
 * @param nameOf the name of a member in the API
 */
export function apiPayload(payload: JsonObject, nameOf = lowerFirst): JsonObject {
  return convert(payload, '', nameOf) as JsonObject
}

function lowerFirst(name: string): string {
  return name.slice(0, 1).toLowerCase() + name.slice(1)
}

/** `RuleDisabled` -> `ruleDisabled`, but free maps keep their keys. */
function convert(value: unknown, member: string, nameOf: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item: unknown) => convert(item, member, nameOf))
  if (isRecord(value)) {
    const isFree = freeMaps.has(member)
    return Object.fromEntries(
      Object.entries(value).map(([given, item]) => {
        const name = isFree ? given : nameOf(given)
        return [name, convert(item, isFree ? '' : name, nameOf)]
      }),
    )
  }
  if (booleans.has(member)) return booleanOf(value) ?? value
  if (integers.has(member)) return numberOf(value) ?? value
  return textOf(value) ?? value
}
