import { Type } from 'typebox'
import { invalidField } from '../../base/errors.ts'
import type { SluiceError } from '../../base/errors.ts'
import { batchCountMax, errorActionIndex } from '../../outbox/outbox.ts'
import { isArray, isObject } from '../../sql/values/values.ts'
import type { Value } from '../../sql/values/values.ts'
import type { DefinitionContext } from '../action/action.ts'
import { optionalTemplate, template } from '../action/action-template.ts'
import type { TextCheck } from '../action/action-template.ts'
import { closed, optionalFlagType, roleArnType } from '../action/field-types.ts'
import { influxdbLine } from '../action/influxdb-line.ts'
import type { PointForm, TextOrPath } from '../action/influxdb-line.ts'
import { readOutput } from '../action/json-output.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import { lengthBetween } from '../action/text-checks.ts'

/** AWS IoT API Reference, InfluxDBAction. */
const destinationArn = Type.String({
  pattern: '^arn:aws[a-z-]*:iot:[a-z0-9-]+:[0-9]{12}:ruledestination/influxdb/\\S+$',
})
const batchConfig = Type.Object(
  {
    maxBatchSize: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })),
    maxBatchOpenMs: Type.Optional(Type.Integer({ minimum: 5, maximum: 1_000 })),
    maxBatchSizeBytes: Type.Optional(Type.Integer({ minimum: 100, maximum: 131_072 })),
    batchAcrossTopics: optionalFlagType,
  },
  closed,
)
/** After its templates are expanded, too. */
const tableName = lengthBetween(1, 1_024)
/** `@{meta.id}`: a path into each element of the output, read by the action itself. */
const elementPath = /^@\{[^{}]+\}$/

/**
 * Writes the elements of the output as points of a table. The call has the lines of InfluxDB's line
 * protocol, so that an element which is no point fails the action at once.
 */
export const influxdbAction = serviceAction({
  kind: 'influxDB',
  schema: Type.Object(
    {
      destinationArn,
      roleArn: roleArnType,
      databaseName: Type.String({ pattern: '^[^_"][^"]{1,63}$' }),
      tableName: Type.String({ pattern: '^[^_].*$', maxLength: 1_024 }),
      organization: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
      tags: Type.Optional(Type.Record(Type.String(), Type.String(), { maxProperties: 498 })),
      timestampUnit: Type.Optional(Type.Enum(['s', 'ms', 'us', 'ns'])),
      batchConfig: Type.Optional(batchConfig),
    },
    closed,
  ),
  faultsOf: ({ tags = {}, ...definition }, context) =>
    faultsOfDefinition({ ...definition, tags }, context),
  plan({ roleArn, tags = {}, timestampUnit = 'ms', ...definition }, { index, ruleName }) {
    const { databaseName, organization, destinationArn: arn, batchConfig: batch } = definition
    const names = Object.keys(tags)
    return actionPlan({
      roleArn,
      // A limit that is not given does not apply.
      batching: batch && {
        count: batch.maxBatchSize ?? batchCountMax,
        ...(batch.maxBatchOpenMs !== undefined && { periodMs: batch.maxBatchOpenMs }),
      },
      templates: {
        tableName: elementTemplate(definition.tableName, tableName),
        tags: Object.fromEntries(
          names.map((name) => {
            return [name, { name: template(name), value: elementTemplate(tags[name] ?? '') }]
          }),
        ),
      },
      target: () => `${arn}/${databaseName}`,
      call(texts, { output, source }) {
        const isError = index === errorActionIndex
        const form = {
          table: textOrPath(texts.tableName, definition.tableName),
          tags: names.map((name) => {
            const tag = texts.tags[name]
            return [tag?.name ?? name, textOrPath(tag?.value, tags[name] ?? '')] as const
          }),
          // The document of an error has no time of its own.
          time: isError ? timeIn(timestampUnit, source.timestampMs) : undefined,
        }
        const written = linesOf(output, form)
        if ('problem' in written) return written
        return {
          operation: 'Write',
          parameters: {
            databaseName,
            ...(organization !== undefined && { organization }),
            precision: timestampUnit,
            lines: written.lines,
            ...(batch && { batchConfig: { ...batch } }),
          },
          ...(batch && {
            batchKey: JSON.stringify([
              ruleName,
              index,
              batch.batchAcrossTopics ? '' : source.topic,
            ]),
          }),
        }
      },
    })
  },
})

interface InfluxdbDefinition {
  readonly databaseName: string
  readonly organization?: string | undefined
  readonly tableName: string
  readonly tags: Readonly<Record<string, string>>
  readonly batchConfig?: object | undefined
}

function faultsOfDefinition(
  {
    databaseName,
    organization = '',
    tableName: table,
    tags,
    batchConfig: batch,
  }: InfluxdbDefinition,
  { place, index }: DefinitionContext,
): readonly SluiceError[] {
  const isError = index === errorActionIndex
  const values = { tableName: table, ...tagMembers(tags) }
  const constants = { databaseName, organization }
  return [
    ...(isError && batch
      ? [invalidField(`${place}.batchConfig`, ': an error action cannot batch')]
      : []),
    ...Object.entries(values).flatMap(([name, value]) => {
      if (!isError || !value.includes('@{')) return []
      return [invalidField(`${place}.${name}`, ': an error action takes no @{...}')]
    }),
    ...Object.entries(constants).flatMap(([name, text]) => {
      if (!/[@$]\{/.test(text)) return []
      return [invalidField(`${place}.${name}`, ' takes neither ${...} nor @{...}')]
    }),
  ]
}

const tagMembers = (tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(tags).map(([name, value]) => [`tags.${name}`, value]))

/** @returns the lines of all elements, or what is wrong with the first that is no point */
function linesOf(
  output: Buffer,
  form: PointForm,
): { readonly lines: readonly string[] } | { readonly problem: string } {
  const value = readOutput(output)
  const elements: Value = isObject(value) ? [value] : value
  if (!isArray(elements)) return { problem: noObjects }
  const lines: string[] = []
  for (const [at, element] of elements.entries()) {
    if (!isObject(element)) return { problem: noObjects }
    const written = influxdbLine(element, form)
    if ('problem' in written) {
      return { problem: isArray(value) ? `element ${at}: ${written.problem}` : written.problem }
    }
    lines.push(written.line)
  }
  return lines.length > 0 ? { lines } : { problem: noObjects }
}

const noObjects = 'the output of the rule is neither an object nor an array of objects'

const unitsPerMs = { s: 1 / 1_000, ms: 1, us: 1_000, ns: 1_000_000 }

function timeIn(unit: string, ms: number): string {
  const perMs = unitsPerMs[unit as keyof typeof unitsPerMs]
  return perMs < 1 ? String(Math.floor(ms * perMs)) : String(BigInt(Math.floor(ms)) * BigInt(perMs))
}

/** A path into the elements is no template of the rule: it stays as it is. */
function elementTemplate(text: string, check?: TextCheck) {
  return optionalTemplate(elementPath.test(text) ? undefined : text, check)
}

/** @param expanded undefined for a path */
function textOrPath(expanded: string | undefined, given: string): TextOrPath {
  if (expanded !== undefined) return { text: expanded }
  const [root = '', ...rest] = given.slice(2, -1).split('.')
  return { path: [root, ...rest] }
}
