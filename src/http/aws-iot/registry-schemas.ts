import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { invalidRequest } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import { thingNamePattern, thingPrincipalTypes } from '../../registry/thing-record.ts'

/** What the operations on things, certificates and policies have in common. */

/** Besides the errors of every operation. */
export const registryErrors: readonly ErrorCode[] = [
  'InvalidRequestException',
  'InternalFailureException',
]
export const foundErrors: readonly ErrorCode[] = [...registryErrors, 'ResourceNotFoundException']

export const emptyObject = { description: 'Done.', schema: Type.Object({}) }
export const thingParams = Type.Object({ thingName: Type.String({ pattern: thingNamePattern }) })
export const thingPrincipalTypeSchema = Type.Optional(Type.Enum(thingPrincipalTypes))
export const epochSeconds = Type.Number({ description: 'Epoch seconds.' })
export const secondsOf = (epochMs: number) => epochMs / 1_000

/** A page of a list holds as many entries as it may, unless a caller asks for fewer. */
const pageMax = 250
const pageSizeSchema = Type.Optional(Type.Integer({ minimum: 1, maximum: pageMax }))

export const tokenPage = { maxResults: pageSizeSchema, nextToken: Type.Optional(Type.String()) }
export const markerPage = {
  pageSize: pageSizeSchema,
  marker: Type.Optional(Type.String()),
}
export const orderedPage = {
  ...markerPage,
  isAscendingOrder: Type.Optional(Type.Boolean()),
}
export const nextMarkerSchema = Type.Optional(
  Type.String({ description: 'The marker of the next page; absent on the last page.' }),
)

interface PageParameters {
  readonly maxResults?: number
  readonly nextToken?: string
  readonly pageSize?: number
  readonly marker?: string
}

/** An empty token counts as absent. */
export const pageOf = ({ maxResults, nextToken, pageSize, marker }: PageParameters) => ({
  pageMax: maxResults ?? pageSize ?? pageMax,
  token: nextToken ?? marker,
})

export const principalHeader = 'x-amzn-principal'
export const policyPrincipalHeader = 'x-amzn-iot-principal'
export const principalHeaderSchema = (name: string) =>
  Type.Object({ [name]: Type.String({ description: 'The ARN of a certificate.' }) })

const certificateArn = /^arn:aws[\w-]*:iot:[\w-]*:\d*:cert\/([0-9a-fA-F]{64})$/

/**
 * @returns the id of the certificate whose ARN a header holds
 * @throws SluiceError InvalidRequestException
 */
export function certificateIn({ headers }: FastifyRequest, name: string): string {
  const id = certificateArn.exec(String(headers[name] ?? ''))?.[1]
  if (id !== undefined) return id.toLowerCase()
  throw invalidRequest(`the header ${name} must be the ARN of a certificate`)
}
