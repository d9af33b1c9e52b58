import type { Clock } from '../../src/base/clock.ts'
import { unlessAborted } from '../../src/base/unless-aborted.ts'
import { LogFullError } from '../../src/cluster/log/replicated-log.ts'
import type { ReplicatedLog } from '../../src/cluster/log/replicated-log.ts'
import type { Random } from '../helpers/random.ts'
import type { ChangeKind, MemoryServers } from './memory-servers.ts'
import type { NodeClock } from './node-clock.ts'

/** How often, of 1,000 requests, something goes wrong with one. */
export interface LinkFaults {
  /** The request does not arrive. */
  readonly requestLost: number
  /** It is carried out, and its answer does not arrive. */
  readonly answerLost: number
  /** It arrives twice. */
  readonly twice: number
  /** It arrives up to `lateMs` later: after the node has asked again. */
  readonly late: number
  /** An append is refused for lack of room. */
  readonly refused: number
}

export const noFaults: LinkFaults = Object.freeze({
  requestLost: 0,
  answerLost: 0,
  twice: 0,
  late: 0,
  refused: 0,
})

/** The way between one node and the servers. */
export interface Link {
  /** A node cannot reach the servers, nor the servers the node. */
  isPartitioned: boolean
  faults: LinkFaults
}

/** What goes on between all nodes and the servers. */
export interface Network {
  /** The servers elect a leader: they take no request. */
  hasLeader: boolean
}

export interface MemoryLogParts {
  readonly servers: MemoryServers
  readonly network: Network
  readonly link: Link
  /** Of the servers and the network. */
  readonly clock: Clock
  readonly nodeClock: NodeClock
  readonly random: Random
}

const delayMsMax = 10
const lateMs = 8_000
/** A node asks again after this time. */
const askAgainMs = 1_000
/** What waits for changes looks for itself after this time: their notices may be lost. */
const lookAgainMs = 500

const nothing = (): void => undefined

type Answer = { readonly value: unknown } | { readonly thrown: unknown }

/**
 * The log in memory, as one node sees it over a network with faults. It keeps its promises through
 * all of them: what is asked again is known by its number and carried out once.
 */
export function createMemoryLog(parts: MemoryLogParts): ReplicatedLog {
  const { servers, link, nodeClock } = parts
  const request = createRequests(parts)
  const ending = new AbortController()
  let lastAppend: Promise<unknown> = Promise.resolve()

  /** Resolves after a change, or when it is time to look for one. */
  function changed(kind: ChangeKind, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel()
        stopListening()
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const cancel = nodeClock.after(lookAgainMs, wake)
      const stopListening = servers.onChanged(kind, () => {
        if (!link.isPartitioned) nodeClock.whenAwake(wake)
      })
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  async function* follow<Item>(
    kind: ChangeKind,
    look: () => readonly Item[],
    given: AbortSignal,
  ): AsyncGenerator<Item, void> {
    const signal = AbortSignal.any([given, ending.signal])
    while (!signal.aborted) {
      let found: readonly Item[]
      try {
        found = await unlessAborted(request(look), signal)
      } catch {
        return
      }
      for (const item of found) {
        if (signal.aborted) return
        yield item
      }
      if (found.length === 0) await changed(kind, signal)
    }
  }

  async function callBack<Item>(
    kind: ChangeKind,
    look: () => readonly Item[],
    callback: (item: Item) => void,
    signal: AbortSignal,
  ): Promise<void> {
    for await (const item of follow(kind, look, signal)) callback(item)
  }

  return {
    append(chunks, { areMoved = false } = {}) {
      const refused = parts.random(1_000) < link.faults.refused
      const appended = lastAppend.then(() =>
        request(() => {
          if (refused && !areMoved) throw new LogFullError('the log is full')
          servers.append(chunks, areMoved)
        }),
      )
      lastAppend = appended.catch(() => undefined)
      return appended
    },
    async *read(lane, after, signal, destination) {
      let position = 0
      const look = () => servers.chunksAfter(position, lane, after, destination)
      for await (const chunk of follow(`lane ${lane}`, look, signal)) {
        position = chunk.sequence
        yield chunk
      }
    },
    progress: (lane) => request(() => servers.progressOf(lane)),
    writeProgress: (progress, deadLetters = []) =>
      request(() => servers.writeProgress(progress, deadLetters)),
    watchProgress(callback, signal) {
      let position = 0
      void callBack(
        'progress',
        () => servers.progressAfter(position),
        (progress) => {
          position = progress.revision
          callback(progress)
        },
        signal,
      )
    },
    announce: (node, data) => request(() => servers.announce({ node, data })),
    watchNodes(callback, signal) {
      let position = 0
      void callBack(
        'nodes',
        () => servers.noticesAfter(position),
        ({ sequence, ...notice }) => {
          position = sequence
          callback(notice)
        },
        signal,
      )
    },
    deadLetters: (afterSequence, max) =>
      request(() => servers.deadLettersAfter(afterSequence, max)),
    forget: (lane, upTo, deadLetters = []) =>
      request(() => servers.forget(lane, upTo, deadLetters)),
    forgetDeadLetters: (lane, upTo) => request(() => servers.forgetDeadLetters(lane, upTo)),
    async close() {
      ending.abort()
      request.close()
    },
  }
}

/** Sends requests over the link, again and again until one is answered. */
function createRequests({ network, link, clock, nodeClock, random }: MemoryLogParts) {
  const closings = new Set<(error: Error) => void>()
  let isClosed = false
  const has = (perMille: number) => perMille > 0 && random(1_000) < perMille

  function request<Result>(carryOut: () => Result): Promise<Result> {
    if (isClosed) return Promise.reject(new Error('the log is closed'))
    return new Promise<Result>((resolve, reject) => {
      /** The servers know a request that they have carried out. */
      let known: Answer | undefined
      let isAnswered = false
      let cancel = nothing

      function settle(answer: Answer): void {
        if (isAnswered) return
        isAnswered = true
        cancel()
        closings.delete(close)
        if ('thrown' in answer) reject(answer.thrown)
        else resolve(answer.value as Result)
      }
      const close = (thrown: Error) => settle({ thrown })

      function arrive(): void {
        if (link.isPartitioned || !network.hasLeader) return
        known ??= answerOf(carryOut)
        const answer = known
        if (has(link.faults.answerLost)) return
        clock.after(1 + random(delayMsMax), () => {
          if (!link.isPartitioned) nodeClock.whenAwake(() => settle(answer))
        })
      }

      function ask(): void {
        if (isAnswered) return
        cancel = nodeClock.after(askAgainMs, ask)
        if (has(link.faults.requestLost)) return
        const lateBy = has(link.faults.late) ? random(lateMs) : 0
        clock.after(1 + random(delayMsMax) + lateBy, arrive)
        if (has(link.faults.twice)) clock.after(1 + random(lateMs), arrive)
      }

      closings.add(close)
      ask()
    })
  }

  return Object.assign(request, {
    close(): void {
      isClosed = true
      for (const close of Array.from(closings)) close(new Error('the log is closed'))
    },
  })
}

function answerOf(carryOut: () => unknown): Answer {
  try {
    return { value: carryOut() }
  } catch (thrown) {
    return { thrown }
  }
}
