import type { Clock } from '../base/clock.ts'
import type { Redaction } from '../redaction/redaction.ts'
import { subscriptionMatches } from '../topics/topic-filter.ts'
import { shownPayload } from './shown-payload.ts'
import type { ShownPayload } from './shown-payload.ts'
import type {
  DeliveredEvent,
  DurableEvent,
  FailedEvent,
  MessageEvent,
  MessagePath,
  WatchEvent,
} from './watch-event.ts'

/**
 * Tells watchers what becomes of messages. While nobody watches, `active` is false, and the engine
 * makes nothing for them.
 *
 * Bounds: a watcher sees `messagesPerSecond` messages a second at most and is told how many were
 * left out; a watcher that asks for payloads sees `payloadBytesPerSecond` of them. The newest
 * `pathsMax` messages are followed to their end, without their payloads, and are forgotten when the
 * last watcher goes.
 */
export interface MessageWatch {
  /** Whether anyone watches. It is read before anything is made for the methods below. */
  readonly active: boolean
  /** What is redacted in the events that others make. Absent: nothing is. */
  readonly redaction?: Redaction | undefined
  /**
   * Asks whether any watcher sees a message. Each message is asked for once, because the answer
   * counts it.
   *
   * @param ruleNames the rules that the topic of the message concerns
   * @returns what tells of the message and its payload; undefined when nobody wants to see it
   */
  begin(message: WatchedMessage, ruleNames: readonly string[]): TellOfMessage | undefined
  /** Whether what becomes of the records of a message is to be told. */
  follows(messageId: string): boolean
  durable(event: DurableEvent): void
  delivered(event: DeliveredEvent): void
  failed(event: FailedEvent): void
  /** The path of a message that was seen while anyone watched. */
  path(messageId: string): MessagePath | undefined
  /** Begins to tell a watcher; `receive` must not throw and not wait. */
  watch(filter: WatchFilter, receive: Watcher['receive'], options?: WatchOptions): Watching
}

type TellOfMessage = (event: MessageEvent, payload: Buffer) => void

interface WatchedMessage {
  readonly topic: string
  readonly clientId?: string | undefined
}

/** What a watcher wants to see: messages that fit every member that is given. */
export interface WatchFilter {
  /** A topic filter of MQTT. */
  readonly topic?: string | undefined
  readonly clientId?: string | undefined
  readonly ruleName?: string | undefined
}

export interface WatchOptions {
  /** Whether events show payloads: the caller must be one who may see them. */
  readonly withPayloads?: boolean | undefined
}

interface Watching {
  /** How many messages were left out since the last call. */
  takeLeftOut(): number
  end(): void
}

/** Of all messages, more are not read by people; a filter asks for what is seldom. */
const messagesPerSecond = 100
const filteredPerSecond = 1_000
/** Eight of the largest payloads that AWS IoT takes. */
const payloadBytesPerSecond = 1_048_576
const pathsMax = 10_000
const eventsOfPathMax = 100

interface Watcher {
  readonly filter: WatchFilter
  readonly receive: (event: WatchEvent) => void
  readonly perSecond: number
  readonly withPayloads: boolean
  leftInSecond: number
  payloadBytesLeft: number
  secondEndsMs: number
  leftOut: number
}

interface Path {
  readonly watchers: readonly Watcher[]
  readonly message: MessageEvent
  durable: DurableEvent | undefined
  readonly records: (DeliveredEvent | FailedEvent)[]
}

interface MessageWatchDependencies {
  readonly clock: Clock
  /** Absent: everything is shown. */
  readonly redaction?: Redaction | undefined
}

export function createMessageWatch({ clock, redaction }: MessageWatchDependencies): MessageWatch {
  const watchers = new Set<Watcher>()
  const paths = createPaths()
  const receiversOf = (wanting: readonly Watcher[]) =>
    wanting.filter((watcher) => watchers.has(watcher))

  function changed(): void {
    self.active = watchers.size > 0
    if (!self.active) paths.clear()
  }

  function tellOfRecord(event: WatchEvent & { readonly name: 'delivered' | 'failed' }): void {
    const path = paths.get(event.data.messageId)
    if (path === undefined) return
    if (path.records.length < eventsOfPathMax) path.records.push(event.data)
    for (const { filter, receive } of receiversOf(path.watchers)) {
      const { ruleName = event.data.ruleName } = filter
      if (ruleName === event.data.ruleName) receive(event)
    }
  }

  // A plain member: it is read for every message, where a call would be felt.
  const self: MessageWatch & { active: boolean } = {
    active: false,
    redaction,
    begin(message, ruleNames) {
      const wanting = [...watchers].filter(
        (watcher) =>
          fits(watcher.filter, message, ruleNames) && admit(watcher, clock.monotonicMs()),
      )
      if (wanting.length === 0) return undefined
      return (data, payload) => {
        // The last watcher may have gone while a rule waited for an external function.
        if (!self.active) return
        paths.add(data, wanting)
        tellOfMessage(receiversOf(wanting), data, () =>
          shownPayload(payload, redaction?.of(payload)),
        )
      }
    },
    follows: (messageId) => paths.get(messageId) !== undefined,
    durable(data) {
      const path = paths.get(data.messageId)
      if (path === undefined || path.durable !== undefined) return
      path.durable = data
      for (const { receive } of receiversOf(path.watchers)) receive({ name: 'durable', data })
    },
    delivered: (data) => tellOfRecord({ name: 'delivered', data }),
    failed: (data) => tellOfRecord({ name: 'failed', data }),
    path(messageId) {
      const path = paths.get(messageId)
      if (path === undefined) return undefined
      const { message, durable, records } = path
      return { message, durable, records }
    },
    watch(filter, receive, options) {
      const watcher = newWatcher(filter, receive, options)
      watchers.add(watcher)
      changed()
      return {
        takeLeftOut: () => takeLeftOut(watcher),
        end() {
          watchers.delete(watcher)
          changed()
        },
      }
    },
  }
  return self
}

/** The newest messages that were seen. */
function createPaths() {
  const paths = new Map<string, Path>()
  return {
    get: (messageId: string) => paths.get(messageId),
    clear: () => paths.clear(),
    add(message: MessageEvent, watchers: readonly Watcher[]): void {
      paths.set(message.messageId, { watchers, message, durable: undefined, records: [] })
      if (paths.size <= pathsMax) return
      const [oldest] = paths.keys()
      if (oldest !== undefined) paths.delete(oldest)
    },
  }
}

function newWatcher(
  filter: WatchFilter,
  receive: Watcher['receive'],
  { withPayloads = false }: WatchOptions = {},
): Watcher {
  const isFiltered = Object.values(filter).some((value) => value !== undefined)
  const perSecond = isFiltered ? filteredPerSecond : messagesPerSecond
  return {
    filter,
    receive,
    perSecond,
    withPayloads,
    leftInSecond: 0,
    payloadBytesLeft: 0,
    secondEndsMs: -Infinity,
    leftOut: 0,
  }
}

function tellOfMessage(
  watchers: readonly Watcher[],
  message: MessageEvent,
  show: () => ShownPayload,
): void {
  let shown: ShownPayload | undefined
  for (const watcher of watchers) {
    const { receive, withPayloads } = watcher
    if (!withPayloads) {
      receive({ name: 'message', data: message })
    } else if (message.bytes > watcher.payloadBytesLeft) {
      receive({ name: 'message', data: { ...message, payloadLeftOut: 'budget' } })
    } else {
      shown ??= show()
      if (shown.payloadLeftOut === undefined) watcher.payloadBytesLeft -= message.bytes
      receive({ name: 'message', data: { ...message, ...shown } })
    }
  }
}

/** Whether a watcher sees one more message in this second; otherwise it is counted. */
function admit(watcher: Watcher, nowMs: number): boolean {
  if (nowMs >= watcher.secondEndsMs) {
    watcher.secondEndsMs = nowMs + 1_000
    watcher.leftInSecond = watcher.perSecond
    watcher.payloadBytesLeft = payloadBytesPerSecond
  }
  if (watcher.leftInSecond > 0) {
    watcher.leftInSecond--
    return true
  }
  watcher.leftOut++
  return false
}

function takeLeftOut(watcher: Watcher): number {
  const { leftOut } = watcher
  watcher.leftOut = 0
  return leftOut
}

function fits(
  { topic, clientId, ruleName }: WatchFilter,
  message: WatchedMessage,
  ruleNames: readonly string[],
): boolean {
  if (clientId !== undefined && clientId !== message.clientId) return false
  if (ruleName !== undefined && !ruleNames.includes(ruleName)) return false
  if (topic !== undefined) return subscriptionMatches(topic, message.topic)
  // As no wildcard of MQTT does, a watcher of everything sees no events that nobody asked for.
  return ruleNames.length > 0 || !message.topic.startsWith('$')
}
