import {
  CloudWatchLogsClient,
  CreateLogStreamCommand,
  PutLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs'
import type { RejectedLogEventsInfo } from '@aws-sdk/client-cloudwatch-logs'
import { chunksOf } from './chunks.ts'
import { clientOptionsOf, createSend, notTaken, sharedParameter, taken, worstOf } from './sender.ts'
import type { SenderOptions, ServiceRequest } from './sender.ts'

/** Amazon CloudWatch Logs API Reference, PutLogEvents. */
const limits = { countMax: 10_000, bytesMax: 1_048_576 }
const eventOverheadBytes = 26
const spanMsMax = 24 * 3_600_000

/** An event, and the index of the record that it belongs to. */
interface Entry {
  readonly timestamp: number
  readonly message: string
  readonly record: number
}

/**
 * Writes log events into one group. The events of several records are one call when they are of one
 * log stream. A log stream that is missing is created; a group that is missing is waited for.
 */
export function createCloudwatchLogsSend(options: SenderOptions) {
  const client = new CloudWatchLogsClient(clientOptionsOf(options))

  async function put(
    stream: { readonly logGroupName: string; readonly logStreamName: string },
    entries: readonly Entry[],
    abortSignal: AbortSignal,
  ): Promise<RejectedLogEventsInfo> {
    const logEvents = entries.map(({ timestamp, message }) => ({ timestamp, message }))
    const command = () => new PutLogEventsCommand({ ...stream, logEvents })
    try {
      return (await client.send(command(), { abortSignal })).rejectedLogEventsInfo ?? {}
    } catch (thrown) {
      if (!isMissingStream(thrown)) throw thrown
      await createStream(stream, abortSignal)
      return (await client.send(command(), { abortSignal })).rejectedLogEventsInfo ?? {}
    }
  }

  async function createStream(
    stream: { readonly logGroupName: string; readonly logStreamName: string },
    abortSignal: AbortSignal,
  ): Promise<void> {
    try {
      await client.send(new CreateLogStreamCommand(stream), { abortSignal })
    } catch (thrown) {
      // Another call has just created it.
      if (!(thrown instanceof Error) || thrown.name !== 'ResourceAlreadyExistsException')
        throw thrown
    }
  }

  return createSend('CloudWatch Logs', client, options, async (requests, abortSignal) => {
    const outcomes = requests.map(() => taken)
    const logGroupName = sharedParameter(requests, 'logGroupName')
    for (const [logStreamName, entries] of entriesByStream(requests)) {
      for (const chunk of callsOf(entries)) {
        const rejected = await put({ logGroupName, logStreamName }, chunk, abortSignal)
        for (const [index, { record }] of chunk.entries()) {
          const reason = rejectionOf(index, rejected)
          if (reason === undefined) continue
          const outcome = notTaken('CloudWatch Logs', 'RejectedLogEvent', reason)
          outcomes[record] = worstOf(outcomes[record], outcome)
        }
      }
    }
    return outcomes
  })
}

/** The message tells a missing log stream from a missing group. */
function isMissingStream(thrown: unknown): boolean {
  return (
    thrown instanceof Error &&
    thrown.name === 'ResourceNotFoundException' &&
    /log ?stream/i.test(thrown.message)
  )
}

function entriesByStream(requests: readonly ServiceRequest[]): ReadonlyMap<string, Entry[]> {
  const byStream = new Map<string, Entry[]>()
  for (const [record, { parameters }] of requests.entries()) {
    const { logStreamName, logEvents } = parameters as unknown as {
      readonly logStreamName: string
      readonly logEvents: readonly Omit<Entry, 'record'>[]
    }
    const entries = byStream.get(logStreamName) ?? []
    byStream.set(logStreamName, entries)
    entries.push(...logEvents.map((event) => ({ ...event, record })))
  }
  return byStream
}

/** Calls in the order of time, none of them longer than a day. */
function callsOf(entries: readonly Entry[]): Entry[][] {
  const sorted = entries.toSorted((left, right) => left.timestamp - right.timestamp)
  const bytesOf = ({ message }: Entry) => Buffer.byteLength(message) + eventOverheadBytes
  return chunksOf(sorted, { ...limits, bytesOf }).flatMap(withinADay)
}

function withinADay(entries: readonly Entry[]): Entry[][] {
  const days: Entry[][] = []
  for (const entry of entries) {
    const day = days.at(-1)
    if (day?.[0] && entry.timestamp - day[0].timestamp <= spanMsMax) day.push(entry)
    else days.push([entry])
  }
  return days
}

/** Why an event was not taken, by its place in the call. */
function rejectionOf(
  index: number,
  {
    tooNewLogEventStartIndex = Infinity,
    tooOldLogEventEndIndex = 0,
    expiredLogEventEndIndex = 0,
  }: RejectedLogEventsInfo,
): string | undefined {
  if (index >= tooNewLogEventStartIndex) return 'the event is more than two hours in the future'
  if (index < expiredLogEventEndIndex) return 'the event is older than the retention of its group'
  if (index < tooOldLogEventEndIndex) return 'the event is more than 14 days old'
  return undefined
}
