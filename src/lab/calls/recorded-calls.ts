import type { ShownCall } from '../../aws/call/service-call.ts'
import type { ServiceKind } from '../../outbox/outbox.ts'

/** A call that the lab recorded instead of making it. */
export type RecordedCall = CallOfRule | CallOfMapping

/** The call that AWS IoT would have made for an action of a rule. */
interface CallOfRule extends CallOfService {
  readonly ruleName: string
  /** The index of the action; -1 for the error action. */
  readonly actionIndex: number
  /** The message that the call comes from. */
  readonly topic: string
  readonly messageId: string
}

/** The call that Lambda would have made to the on-failure destination of a mapping. */
interface CallOfMapping extends CallOfService {
  /** The UUID of the event source mapping. */
  readonly mapping: string
}

interface CallOfService extends ShownCall {
  /** When it would have been made, as RFC 3339 in UTC. */
  readonly at: string
  readonly kind: ServiceKind
}

/** Which calls are listed. */
interface CallQuery {
  readonly ruleName?: string | undefined
  readonly kind?: string | undefined
  readonly maxResults: number
  /** From the page before. */
  readonly nextToken?: string | undefined
}

/** The newest calls of the lab. */
export interface RecordedCalls {
  add(call: RecordedCall): void
  /** The calls in the order in which they were recorded, the oldest first. */
  list(query: CallQuery): {
    readonly calls: readonly RecordedCall[]
    readonly nextToken?: string | undefined
    /** As `nextToken`, for calls that are recorded later. */
    readonly resumeToken: string
  }
  /** Calls that were recorded and made room for newer ones. */
  dropped(): number
}

const callsMaxDefault = 10_000
const bytesMaxDefault = 64 * 1_024 * 1_024

/** Keeps calls in memory. The oldest make room when there are too many, or too many bytes. */
export function createRecordedCalls({
  callsMax = callsMaxDefault,
  bytesMax = bytesMaxDefault,
}: {
  readonly callsMax?: number
  readonly bytesMax?: number
} = {}): RecordedCalls {
  /** A ring of JSON texts, which take less memory than the objects. */
  let texts: string[] = []
  let first = 0
  /** The position of `texts[first]` among all calls that were ever recorded. */
  let dropped = 0
  let bytes = 0

  function dropOldest(): void {
    bytes -= texts[first]?.length ?? 0
    texts[first] = ''
    first += 1
    dropped += 1
    // Removing each text at once would move all others each time.
    if (first < callsMax) return
    texts = texts.slice(first)
    first = 0
  }

  return {
    add(call) {
      const text = JSON.stringify(call)
      texts.push(text)
      bytes += text.length
      while (texts.length - first > callsMax || (bytes > bytesMax && texts.length - first > 1)) {
        dropOldest()
      }
    },
    list({ ruleName, kind, maxResults, nextToken }) {
      const given = nextToken === undefined ? dropped : Number(nextToken)
      // A token of an earlier run of the lab may lie behind the end.
      const from = given > dropped + texts.length - first ? dropped : given
      const calls: RecordedCall[] = []
      let index = first + Math.max(0, from - dropped)
      for (; index < texts.length && calls.length < maxResults; index++) {
        const call = JSON.parse(texts[index] ?? '') as RecordedCall
        const ofRule = 'ruleName' in call ? call.ruleName : undefined
        const isWanted = (ruleName ?? ofRule) === ofRule && (kind ?? call.kind) === call.kind
        if (isWanted) calls.push(call)
      }
      const resumeToken = String(dropped + index - first)
      return { calls, nextToken: index < texts.length ? resumeToken : undefined, resumeToken }
    },
    dropped: () => dropped,
  }
}
