import {
  DescribeStreamSummaryCommand,
  KinesisClient,
  ListShardsCommand,
  PutRecordCommand,
  PutRecordsCommand,
} from '@aws-sdk/client-kinesis'
import type { PutRecordsResultEntry, Shard } from '@aws-sdk/client-kinesis'
import type { NodeHttpHandler } from '@smithy/node-http-handler'
import { messageOf } from '../base/errors.ts'
import { unlessAborted } from '../base/unless-aborted.ts'
import { sdkProviderOf } from './credentials.ts'
import type { AwsCredentials, RoleCredentials } from './credentials.ts'
import { shardsListedMax } from './kinesis-calls.ts'
import type {
  CallOutcome,
  Failure,
  KinesisCalls,
  PutRequest,
  RecordOutcome,
  ShardListing,
  ShardRange,
  StreamReference,
} from './kinesis-calls.ts'
import { PutRecordsProtocol } from './put-records-protocol.ts'
import { isExpiredToken } from './failure-class.ts'
import type { StaticCredentials } from './sts.ts'

interface KinesisCallsOptions {
  readonly region: string
  /** Of the role to write with. Absent: the process writes as itself. */
  readonly credentials?: RoleCredentials
  /** Who the process is; absent: the SDK's chain. */
  readonly baseCredentials?: StaticCredentials
  readonly requestHandler: NodeHttpHandler
  /** Absent: the SDK's own rules, `AWS_ENDPOINT_URL_KINESIS` among them. */
  readonly endpoint?: string
}

/**
 * The one place that writes to Kinesis, for one region and role. The retry policy of retry.ts owns
 * both levels, so the client retries nothing; whatever it throws becomes an outcome.
 */
export function createKinesisCalls(options: KinesisCallsOptions): KinesisCalls {
  const { region, credentials, baseCredentials, requestHandler, endpoint } = options
  const provider = credentials === undefined ? baseCredentials : sdkProviderOf(credentials)
  const client = new KinesisClient({
    region,
    requestHandler,
    maxAttempts: 1,
    protocol: PutRecordsProtocol,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(provider === undefined ? {} : { credentials: provider }),
  })
  // It copies all records of a call for a log that nobody keeps.
  client.middlewareStack.remove('loggerMiddleware')
  /** The process's own credentials are for the SDK to renew, but for what AWS calls expired. */
  const identity: Pick<RoleCredentials, 'current' | 'drop'> = credentials ?? {
    current: () => client.config.credentials() as Promise<AwsCredentials>,
    drop: () => void client.config.credentials({ forceRefresh: true }).catch(() => undefined),
  }

  async function send(request: PutRequest): Promise<readonly RecordOutcome[]> {
    const { operation, records, signal } = request
    const stream = named(request)
    const entries = records.map(({ partitionKey, explicitHashKey, data }) =>
      explicitHashKey === undefined
        ? { PartitionKey: partitionKey, Data: data }
        : { PartitionKey: partitionKey, ExplicitHashKey: explicitHashKey, Data: data },
    )
    const [entry] = entries
    if (operation === 'PutRecord' && entry !== undefined) {
      const command = new PutRecordCommand({ ...stream, ...entry })
      return [outcomeOf(await client.send(command, { abortSignal: signal }))]
    }
    const command = new PutRecordsCommand({ ...stream, Records: entries })
    const { Records: results = [] } = await client.send(command, { abortSignal: signal })
    return results.map(outcomeOf)
  }

  return {
    async put(request: PutRequest): Promise<CallOutcome> {
      let used: AwsCredentials
      try {
        // Others of the role may still want what STS says.
        used = await unlessAborted(identity.current(), request.signal)
      } catch (error) {
        return { answered: false, failure: failureOf(error, 'AssumeRole') }
      }
      try {
        return { answered: true, records: await send(request) }
      } catch (error) {
        const failure = failureOf(error, 'Kinesis')
        if (isExpiredToken(failure)) identity.drop(used)
        return { answered: false, failure }
      }
    },
    async recordBytesMax(stream: StreamReference) {
      try {
        const command = new DescribeStreamSummaryCommand(named(stream))
        const { StreamDescriptionSummary: summary } = await client.send(command)
        const { MaxRecordSizeInKiB: kibibytes } = summary ?? {}
        return kibibytes === undefined ? undefined : kibibytes * 1_024
      } catch {
        // A role written for AWS IoT may write and nothing else.
        return undefined
      }
    },
    async listShards(stream: StreamReference, signal: AbortSignal): Promise<ShardListing> {
      try {
        return { listed: true, shards: await listOpenShards(client, stream, signal) }
      } catch (error) {
        return { listed: false, failure: failureOf(error, 'Kinesis') }
      }
    },
  }
}

const shardsOfPage = 1_000

async function listOpenShards(
  client: KinesisClient,
  stream: StreamReference,
  abortSignal: AbortSignal,
): Promise<readonly ShardRange[]> {
  const open: ShardRange[] = []
  const MaxResults = shardsOfPage
  let token: string | undefined
  for (let page = 0; page < shardsListedMax / shardsOfPage; page++) {
    // The token stands for the stream and the filter.
    const input =
      token === undefined
        ? { ...named(stream), MaxResults, ShardFilter: { Type: 'AT_LATEST' as const } }
        : { NextToken: token, MaxResults }
    const { Shards: shards = [], NextToken } = await client.send(new ListShardsCommand(input), {
      abortSignal,
    })
    open.push(...shards.flatMap(rangeOfOpen))
    if (!NextToken) return open
    token = NextToken
  }
  throw new Error(`The stream has more than ${shardsListedMax} shards`)
}

/** The filter leaves closed shards out; not every emulator knows it. */
function rangeOfOpen({ ShardId: shardId, HashKeyRange, SequenceNumberRange }: Shard): ShardRange[] {
  const { StartingHashKey, EndingHashKey } = HashKeyRange ?? {}
  if (!shardId || !StartingHashKey || !EndingHashKey) return []
  if (SequenceNumberRange?.EndingSequenceNumber) return []
  return [
    { shardId, startingHashKey: BigInt(StartingHashKey), endingHashKey: BigInt(EndingHashKey) },
  ]
}

function named({ streamName, streamArn }: StreamReference) {
  return streamArn === undefined ? { StreamName: streamName } : { StreamARN: streamArn }
}

/** PutRecord answers as an entry of PutRecords does, without the error. */
function outcomeOf(result: PutRecordsResultEntry): RecordOutcome {
  const { ShardId: shardId, SequenceNumber: sequenceNumber, ErrorCode, ErrorMessage } = result
  // Written out, an absent member may be null.
  if (!ErrorCode && shardId && sequenceNumber) {
    return { ok: true, shardId, sequenceNumber }
  }
  const code = ErrorCode ?? 'InternalFailure'
  const message = ErrorMessage ?? 'The answer holds neither a sequence number nor an error'
  return { ok: false, failure: { code, message, source: 'Kinesis' } }
}

/** What the SDK throws: errors of the service, of the network, or of reading the answer. */
function failureOf(thrown: unknown, source: Failure['source']): Failure {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  const status = statusOf(error)
  return {
    code: codeOf(error),
    message: messageOf(error),
    source,
    ...(status === undefined ? {} : { status }),
  }
}

/** Names that say less than the code beside them: the SDK calls a cut connection a timeout, too. */
const vagueNames: ReadonlySet<string> = new Set(['Error', 'AggregateError', 'TimeoutError'])

function codeOf(error: Error): string {
  if (!vagueNames.has(error.name) || !('code' in error)) return error.name
  const { code } = error
  return typeof code === 'string' && code !== 'ETIMEDOUT' ? code : error.name
}

function statusOf(error: Error): number | undefined {
  if (!('$metadata' in error)) return undefined
  const metadata = error.$metadata as { readonly httpStatusCode?: number } | undefined
  return metadata?.httpStatusCode
}
