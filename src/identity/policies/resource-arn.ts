/**
 * The owner of an AWS IoT resource. Read at each use, because the account may become known later.
 */
export interface ResourceOwner {
  readonly region: string
  /** Twelve digits; undefined while the account is not known. */
  readonly accountId: string | undefined
}

/**
 * Stands for the account in an ARN while the account is not known. No account has this id; policies
 * treat it as any account (see policy.ts).
 */
export const unknownAccount = '?'

/**
 * @param resource `topic/a/b`, `topicfilter/a/#`, `client/c1`, `rule/r`, or `function:f` of Lambda,
 *   not encoded in any way
 * @returns its ARN, in the partition of the region, as policies compare it
 */
export function resourceArn(
  resource: string,
  { region, accountId }: ResourceOwner,
  service: 'iot' | 'lambda' = 'iot',
): string {
  const account = accountId ?? unknownAccount
  return `arn:${partitionOf(region)}:${service}:${region}:${account}:${resource}`
}

/** @returns the ARN that refusals show for the owner of an access key; Sluice has no IAM users */
export function callerArn(accessKeyId: string, { region, accountId }: ResourceOwner): string {
  return `arn:${partitionOf(region)}:iam::${accountId ?? unknownAccount}:user/${accessKeyId}`
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn'
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}
