/** An account in a region: the names of streams, their listings and quotas are of one of these. */
export interface Namespace {
  readonly accountId: string
  readonly region: string
}

const arnForm = /^arn:aws[^:]*:kinesis:([^:]*):(\d{12}):stream\/([a-zA-Z0-9_.-]+)/

/** @returns the parts of the ARN of a stream or of its consumer; undefined for any other text */
export function parseStreamArn(
  arn: string,
): (Namespace & { readonly streamName: string }) | undefined {
  const [, region, accountId, streamName] = arnForm.exec(arn) ?? []
  if (region === undefined || accountId === undefined || streamName === undefined) return undefined
  return { accountId, region, streamName }
}

export const streamArnOf = ({ accountId, region }: Namespace, streamName: string) =>
  `arn:${partitionOf(region)}:kinesis:${region}:${accountId}:stream/${streamName}`

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn'
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}

/** Names of regions are not listed, because clients of emulators also use names of their own. */
const regionForm = /^[a-z0-9-]{1,63}$/

export const isRegion = (text: string | undefined): text is string =>
  text !== undefined && regionForm.test(text)
