import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { JsMsg } from '@nats-io/jetstream'
import { SluiceError } from '../../base/errors.ts'
import type { NatsDependencies } from '../nats/connection.ts'
import type { Nats } from '../nats/open-nats.ts'
import { createDeadLetterReads } from './dead-letter-reads.ts'
import { followSubjects } from './follow-subjects.ts'
import type { Followed } from './follow-subjects.ts'
import { lastTokenOf } from './log-names.ts'
import type { LogNames } from './log-names.ts'
import { createLogRequests } from './log-requests.ts'
import type { LogDependencies, LogRequests } from './log-requests.ts'
import { createLogRoom } from './log-room.ts'
import { createLogWriter } from './log-writer.ts'
import { createNodeNotices, goneHeader } from './node-notices.ts'
import { createProgressWriter, progressOf } from './progress-writer.ts'
import type { BatchMessage } from './publish-batch.ts'
import { batchMessagesMax, chunkBytesMax } from './replicated-log.ts'
import type { Chunk, ReplicatedLog } from './replicated-log.ts'

/**
 * The log in a stream of NATS JetStream. docs/decisions/0051-the-log-of-a-cluster.md has the
 * reasons.
 *
 * - A call of `append` is one atomic batch: a mark, then its chunks (log-writer.ts).
 * - A lane is read by an ordered consumer from the beginning of what is left of it
 *   (follow-subjects.ts); what the watermarks cover is skipped.
 * - Progress is a compare-and-set on the last message of its subject, which replaces those before
 *   it (progress-writer.ts).
 * - Requests ask the leader of the stream, again and again until it answers (log-requests.ts).
 */
interface JetstreamLogOptions {
  readonly names: LogNames
  /** Of this run of the node, and of no other: letters, digits, `-` and `_`. */
  readonly node: string
  /** What chunks may take; the stream has more. */
  readonly bytesMax: number
  /** What dead letters take, which do not count as chunks. Default: nothing. */
  readonly deadLetterBytes?: (() => number) | undefined
}

/** What a message takes in the stream beside its data and its subject. */
const overheadBytes = 256
/** How long the last request of a closed log may take. */
const farewellMs = 1_000

export function createJetstreamLog(
  dependencies: LogDependencies,
  nats: Nats,
  options: JetstreamLogOptions,
): ReplicatedLog {
  const { clock } = dependencies
  const { manager } = nats
  const { names, node } = options
  const { stream } = names
  const closing = new AbortController()
  // Requests of all lanes wait for it while there is no leader.
  setMaxListeners(0, closing.signal)
  const requests = createLogRequests(dependencies, nats, { stream, closing: closing.signal })
  const writer = createWriter(dependencies, requests, { ...options, closing: closing.signal })
  const settings = { names, closing: closing.signal, writeId: randomUUID }
  const progressWriter = createProgressWriter({ clock, requests }, settings)
  const notices = createNodeNotices({ clock, requests }, settings)
  const deadLetterReads = createDeadLetterReads({ requests, manager }, names)

  const follow = (subject: string, after: Followed['after'], signal: AbortSignal) => {
    const either = AbortSignal.any([signal, closing.signal])
    return followSubjects(dependencies, nats, { stream, subject, after }, either)
  }

  return {
    async append(chunks, { areMoved = false } = {}) {
      requireBatch(chunks)
      const messages = chunks.map((chunk) => messageOfChunk(names, chunk))
      await writer.append(messages, areMoved)
    },

    async *read(lane, after, signal, destination) {
      const [subject, first] =
        destination === undefined
          ? [names.chunksOf(lane), 0]
          : [names.chunk(lane, destination), after[destination] ?? 0]
      for await (const { subject: of, seq: sequence, data } of follow(subject, first, signal)) {
        const chunk = { lane, destination: lastTokenOf(of), data, sequence }
        if (sequence > (after[chunk.destination] ?? 0)) yield chunk
      }
    },

    progress: async (lane) => progressOf(lane, await requests.lastOf(names.progress(lane))),
    writeProgress: (progress, deadLetters = []) => progressWriter.write(progress, deadLetters),
    watchProgress(changed, signal) {
      callBack(follow(names.allProgress, 'last-of-each', signal), ({ subject, seq, data }) =>
        changed({ lane: Number(lastTokenOf(subject)), revision: seq, data }),
      )
    },

    announce: (name, data) => notices.announce(name, data),
    watchNodes(changed, signal) {
      callBack(follow(names.allNotices, 'last-of-each', signal), ({ subject, headers, data }) => {
        const isGone = headers?.has(goneHeader) === true
        changed({ node: lastTokenOf(subject), data: isGone ? undefined : data })
      })
    },

    deadLetters: (afterSequence, max) => deadLetterReads.list(afterSequence, max),
    async forget(lane, upTo, deadLetters = []) {
      for (const [destination, sequence] of Object.entries(upTo)) {
        await requests.removeUpTo(names.chunk(lane, destination), sequence)
      }
      for (const sequence of deadLetters) {
        await requests.removeOne(names.deadLetter(lane), sequence)
      }
    },
    forgetDeadLetters: (lane, upTo) => requests.removeUpTo(names.deadLetter(lane), upTo),

    async close() {
      closing.abort()
      const removed = manager.streams.purge(stream, { filter: names.mark(node) })
      await Promise.race([removed.catch(() => undefined), clock.sleep(farewellMs)])
    },
  }
}

function requireBatch({ length }: readonly Chunk[]): void {
  if (length <= batchMessagesMax) return
  throw new RangeError(`a batch has at most ${batchMessagesMax} chunks, and not ${length}`)
}

const tooLargeForLog = (bytes: number, bytesMax: number) =>
  new SluiceError(
    'OutboxFull',
    `The records take ${bytes} bytes together, and the log of the cluster ${bytesMax}: raise ` +
      'SLUICE_OUTBOX_MAX_BYTES on all nodes',
  )

/** The writer of batches, with its mark and the room of the log. */
function createWriter(
  { clock }: NatsDependencies,
  requests: LogRequests,
  {
    names,
    node,
    bytesMax,
    deadLetterBytes = () => 0,
    closing,
  }: JetstreamLogOptions & { readonly closing: AbortSignal },
) {
  const markSubject = names.mark(node)
  const bytesInStream = () => requests.bytesInStream()
  const room = createLogRoom({ clock, bytesInStream, deadLetterBytes }, bytesMax)
  return createLogWriter(
    {
      clock,
      publish: (messages, options) => requests.publish(messages, options),
      waiting: (reason) => requests.waiting(reason),
      async takeRoom(messages) {
        const bytes = messages.reduce((sum, message) => sum + sizeOf(message), overheadBytes)
        if (bytes > bytesMax) throw tooLargeForLog(bytes, bytesMax)
        const hasRoom = await room.take(bytes)
        return hasRoom ? undefined : `the chunks of ${names.stream} may have ${bytesMax} bytes`
      },
      async readMark() {
        const message = await requests.lastOf(markSubject)
        return message ? { sequence: message.seq, batch: Number(message.string()) } : undefined
      },
    },
    { markSubject, closing },
  )
}

function messageOfChunk(names: LogNames, { lane, destination, data }: Chunk): BatchMessage {
  if (data.length > chunkBytesMax) {
    throw new RangeError(`a chunk has ${data.length} bytes, and may have ${chunkBytesMax}`)
  }
  return { subject: names.chunk(lane, destination), data }
}

const sizeOf = ({ subject, data }: BatchMessage) => subject.length + data.length + overheadBytes

function callBack(messages: AsyncIterable<JsMsg>, callback: (message: JsMsg) => void): void {
  void (async () => {
    for await (const message of messages) callback(message)
  })()
}
