import { Type } from 'typebox'
import type { Static } from 'typebox'
import { defined } from '../base/defined.ts'
import { invalidRequest } from '../base/errors.ts'
import type { RecordForm } from './records.ts'

/** A thing as it is kept, and the limits of AWS IoT's registry. */

/** The form of the names of things, of their types, and of their attributes, in AWS's model. */
export const thingNamePattern = '^[a-zA-Z0-9:_-]{1,128}$'
const attributeName = /^[a-zA-Z0-9_.,@/:#-]{1,128}$/
const attributeValue = /^[a-zA-Z0-9_.,@/:#=[\]-]{0,800}$/

/** AWS IoT Core quotas: attributes of a thing without a type, and of one that has one. */
const attributesMax = Object.freeze({ withoutType: 3, withType: 50 })

export const thingPrincipalTypes = ['NON_EXCLUSIVE_THING', 'EXCLUSIVE_THING'] as const
export type ThingPrincipalType = (typeof thingPrincipalTypes)[number]

const thingSchema = Type.Object({
  thingName: Type.String({ pattern: thingNamePattern }),
  thingId: Type.String(),
  thingTypeName: Type.Optional(Type.String({ pattern: thingNamePattern })),
  attributes: Type.Record(Type.String(), Type.String()),
  /** Begins with 1, and rises with each update. */
  version: Type.Integer(),
  /** By the id of a certificate. */
  principals: Type.Record(
    Type.String({ pattern: '^[0-9a-f]{64}$' }),
    Type.Enum(thingPrincipalTypes),
  ),
})

export const thingForm: RecordForm<typeof thingSchema> = {
  schema: thingSchema,
  nameOf: ({ thingName }) => thingName,
  what: 'a thing',
}

type StoredThing = Static<typeof thingSchema>

export type Thing = Readonly<
  Omit<StoredThing, 'thingTypeName' | 'attributes' | 'principals'> & {
    readonly thingTypeName?: string | undefined
    readonly attributes: Readonly<Record<string, string>>
    readonly principals: Readonly<Record<string, ThingPrincipalType>>
  }
>

export type Attributes = Readonly<Record<string, string>>

/**
 * @returns the attributes without those that are empty: AWS IoT removes them
 * @throws SluiceError InvalidRequestException, naming the attribute
 */
export function checkAttributes(given: Attributes, thingTypeName: string | undefined): Attributes {
  const kept = Object.entries(given).filter(([, value]) => value !== '')
  for (const [name, value] of kept) {
    if (!attributeName.test(name)) {
      throw invalidRequest(`the attribute name ${JSON.stringify(name.slice(0, 200))} is not valid`)
    }
    if (!attributeValue.test(value)) {
      throw invalidRequest(`the value of the attribute ${name} is not valid`)
    }
  }
  const { withType, withoutType } = attributesMax
  const max = thingTypeName === undefined ? withoutType : withType
  if (kept.length > max) {
    throw invalidRequest(
      `${kept.length} attributes are given; a thing ${thingTypeName === undefined ? 'without' : 'with'} ` +
        `a type has at most ${max}`,
    )
  }
  return Object.freeze(Object.fromEntries(kept))
}

/** The answer of DescribeThing. */
export function describeThing(thing: Thing, arnOf: (resource: string) => string) {
  const { thingName, thingId, thingTypeName, attributes, version } = thing
  const thingArn = arnOf(`thing/${thingName}`)
  const members = { thingName, thingId, thingArn, thingTypeName, attributes, version }
  return defined({ defaultClientId: thingName, ...members })
}
