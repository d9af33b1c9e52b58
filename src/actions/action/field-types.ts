import { Type } from 'typebox'

/** The types of fields that several actions have, as AWS IoT's service model states them. */

/** AWS's structures take no unknown members here: a misspelt one would be ignored silently. */
export const closed = { additionalProperties: false } as const

/** `arn:<partition>:iam::<account>:role/<path and name>`; the field takes no template. */
const roleArnPattern = '^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,576}$'

export const roleArnType = Type.String({ pattern: roleArnPattern })

export const textType = Type.String()
export const optionalTextType = Type.Optional(Type.String())
export const optionalFlagType = Type.Optional(Type.Boolean())

/** The account of a role: a rule, its roles and most of its targets are of one account. */
export function accountOfRole(arn: string): string {
  return arn.split(':')[4] ?? ''
}

/** The region in an ARN: `arn:aws:lambda:eu-west-1:123456789012:function:f`. */
export function regionOfArn(arn: string): string | undefined {
  return arn.split(':')[3] || undefined
}

/** The partition of an ARN: `aws`, `aws-cn`. */
export function partitionOfArn(arn: string): string {
  return arn.split(':')[1] ?? 'aws'
}
