/** What an AWS IoT resource belongs to. */
export interface ResourceOwner {
  readonly region: string
  /** Twelve digits. */
  readonly accountId: string
}

/**
 * @param resource `topic/a/b`, `topicfilter/a/#`, `client/c1` or `rule/r`, not encoded in any way
 * @returns its ARN, in the partition that the region belongs to: what policies are asked about
 */
export function resourceArn(resource: string, { region, accountId }: ResourceOwner): string {
  return `arn:${partitionOf(region)}:iot:${region}:${accountId}:${resource}`
}

/** @returns the ARN by which refusals call whoever holds the access key; there are no users here */
export function callerArn(accessKeyId: string, { region, accountId }: ResourceOwner): string {
  return `arn:${partitionOf(region)}:iam::${accountId}:user/${accessKeyId}`
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn'
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}
