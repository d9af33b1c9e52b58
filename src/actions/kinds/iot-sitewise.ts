import { Type } from 'typebox'
import { invalidField } from '../../base/errors.ts'
import { optionalTemplate, template } from '../action/action-template.ts'
import { closed, optionalTextType, roleArnType, textType } from '../action/field-types.ts'
import { actionPlan, serviceAction } from '../action/service-action.ts'
import {
  decimalNumber,
  integerBetween,
  lengthBetween,
  matching,
  oneOf,
} from '../action/text-checks.ts'

/** AWS IoT SiteWise API Reference, BatchPutAssetPropertyValue. */
const entriesMax = 10
const entryId = matching(
  /^[a-zA-Z0-9_-]{1,64}$/,
  'an entry id: 1 to 64 letters, digits, "_" or "-"',
)
const integer = integerBetween(-2_147_483_648n, 2_147_483_647n)
const seconds = integerBetween(1n, 9_223_372_036_854_774n)
const nanos = integerBetween(0n, 999_999_999n)
const quality = oneOf(['GOOD', 'BAD', 'UNCERTAIN'])
const boolean = oneOf(['true', 'false'])
const stringValue = lengthBetween(1, 1_024)

const propertyNames = ['assetId', 'propertyId', 'propertyAlias']

const valueSchema = Type.Object(
  {
    stringValue: optionalTextType,
    integerValue: optionalTextType,
    doubleValue: optionalTextType,
    booleanValue: optionalTextType,
  },
  { ...closed, minProperties: 1, maxProperties: 1 },
)

const entrySchema = Type.Object(
  {
    entryId: optionalTextType,
    assetId: optionalTextType,
    propertyId: optionalTextType,
    propertyAlias: optionalTextType,
    propertyValues: Type.Array(
      Type.Object(
        {
          value: valueSchema,
          timestamp: Type.Object(
            { timeInSeconds: textType, offsetInNanos: optionalTextType },
            closed,
          ),
          quality: optionalTextType,
        },
        closed,
      ),
      { minItems: 1 },
    ),
  },
  closed,
)

/** Puts values of asset properties. The output of the rule is not used. */
export const iotSitewiseAction = serviceAction({
  kind: 'iotSiteWise',
  schema: Type.Object(
    {
      roleArn: roleArnType,
      putAssetPropertyValueEntries: Type.Array(entrySchema, { minItems: 1, maxItems: entriesMax }),
    },
    closed,
  ),
  faultsOf: ({ putAssetPropertyValueEntries: entries }, { place, isFaulty }) =>
    entries.flatMap(({ assetId, propertyId, propertyAlias }, number) => {
      const entry = `putAssetPropertyValueEntries[${number}]`
      const isByIds = assetId !== undefined && propertyId !== undefined
      const hasAnId = assetId !== undefined || propertyId !== undefined
      if (propertyAlias === undefined ? isByIds : !hasAnId) return []
      // What was meant is not known.
      if (propertyNames.some((name) => isFaulty(`${entry}.${name}`))) return []
      const problem = ' must name its property by propertyAlias, or by assetId and propertyId'
      return [invalidField(`${place}.${entry}`, problem)]
    }),
  plan({ roleArn, putAssetPropertyValueEntries: entries }) {
    return actionPlan({
      roleArn,
      templates: {
        putAssetPropertyValueEntries: entries.map((entry) => ({
          entryId: optionalTemplate(entry.entryId, entryId),
          assetId: optionalTemplate(entry.assetId, lengthBetween(1, 139)),
          propertyId: optionalTemplate(entry.propertyId, lengthBetween(1, 139)),
          propertyAlias: optionalTemplate(entry.propertyAlias, lengthBetween(1, 2_048)),
          propertyValues: entry.propertyValues.map(({ value, timestamp, quality: given }) => ({
            value: {
              stringValue: optionalTemplate(value.stringValue, stringValue),
              integerValue: optionalTemplate(value.integerValue, integer),
              doubleValue: optionalTemplate(value.doubleValue, decimalNumber),
              booleanValue: optionalTemplate(value.booleanValue, boolean),
            },
            timestamp: {
              timeInSeconds: template(timestamp.timeInSeconds, seconds),
              offsetInNanos: optionalTemplate(timestamp.offsetInNanos, nanos),
            },
            quality: optionalTemplate(given, quality),
          })),
        })),
      },
      // All assets of an account and a region share one API.
      target: () => '',
      call: (texts, { newUuid }) => ({
        operation: 'BatchPutAssetPropertyValue',
        parameters: {
          entries: texts.putAssetPropertyValueEntries.map(
            ({ entryId: id, propertyValues, ...property }) => ({
              entryId: id ?? newUuid(),
              ...present(property),
              propertyValues: propertyValues.map((given) => ({
                value: typedValue(given.value),
                timestamp: {
                  timeInSeconds: Number(given.timestamp.timeInSeconds),
                  ...(given.timestamp.offsetInNanos !== undefined && {
                    offsetInNanos: Number(given.timestamp.offsetInNanos),
                  }),
                },
                ...present({ quality: given.quality }),
              })),
            }),
          ),
        },
      }),
    })
  },
})

type ValueTexts = Readonly<
  Record<'stringValue' | 'integerValue' | 'doubleValue' | 'booleanValue', string | undefined>
>

/** All values are texts in a rule, and have their type in the call. */
function typedValue({ stringValue: string, integerValue, doubleValue, booleanValue }: ValueTexts) {
  if (integerValue !== undefined) return { integerValue: Number(integerValue) }
  if (doubleValue !== undefined) return { doubleValue: Number(doubleValue) }
  if (booleanValue !== undefined) return { booleanValue: booleanValue === 'true' }
  return { stringValue: string ?? '' }
}

function present(texts: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).filter((member): member is [string, string] => member[1] !== undefined),
  )
}
