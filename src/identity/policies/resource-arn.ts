/** What an AWS IoT resource belongs to. Read at each use: the account may become known later. */
export interface ResourceOwner {
  readonly region: string
  /** Twelve digits; undefined while the account is not known. */
  readonly accountId: string | undefined
}

/**
 * The account in the ARN of a resource whose account is not known. No account has this name; policies
 * treat it as one that may be any (see policy.ts).
 */
export const unknownAccount = '?'

/**
 * @param resource `topic/a/b`, `topicfilter/a/#`, `client/c1` or `rule/r`, not encoded in any way
 * @returns its ARN, in the partition that the region belongs to: what policies are asked about
 */
export function resourceArn(resource: string, { region, accountId }: ResourceOwner): string {
  const account = accountId ?? unknownAccount
  return `arn:${partitionOf(region)}:iot:${region}:${account}:${resource}`
}

/** @returns the ARN by which refusals call whoever holds the access key; there are no users here */
export function callerArn(accessKeyId: string, { region, accountId }: ResourceOwner): string {
  return `arn:${partitionOf(region)}:iam::${accountId ?? unknownAccount}:user/${accessKeyId}`
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn'
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}
