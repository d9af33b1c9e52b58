/**
 * What is accepted, on more than one machine: the log that stands in front of the outbox of each
 * node. Records of one partition key belong to one lane, whatever their destination, and one node
 * at a time owns a lane: it reads the lane's chunks into its outbox and delivers them.
 *
 * All calls wait while the log cannot be reached, and go on when it can: none rejects for that.
 * After `close` every call rejects, and those that wait do.
 */

/** A lane is a part of the log with one owner. Their number is the same for each node. */
export const laneCount = 16

/** Records of one destination in one lane, as they were accepted together. */
export interface Chunk {
  /** From 0 to `laneCount - 1`. */
  readonly lane: number
  /** The destination, as a token that is the same on each node: letters, digits, `-` and `_`. */
  readonly destination: string
  /** The records, encoded. At most `chunkBytesMax`. */
  readonly data: Uint8Array
}

/** Bytes of the data of a chunk: NATS servers take 1 MiB by default, with headers. */
export const chunkBytesMax = 512 * 1024

/** Chunks in one `append`, and dead letters in one `writeProgress`: an atomic batch of NATS. */
export const batchMessagesMax = 900

/** A chunk in the log. */
export interface StoredChunk extends Chunk {
  /** Its place in the log: grows, with gaps. */
  readonly sequence: number
}

/** For each destination of a lane, the sequence of the last chunk that is wholly settled. */
export type Watermarks = Readonly<Record<string, number>>

/** A dead letter in the log. Its sequence is its id. */
export interface StoredDeadLetter {
  readonly sequence: number
  readonly lane: number
  readonly data: Uint8Array
}

/**
 * The last progress of a lane. Who wrote it, what is settled and the ledger's rows stand in `data`,
 * so that one compare-and-set renews the lease, fences former owners and settles records.
 */
export interface LaneProgress {
  readonly lane: number
  /** The sequence of the progress message: a writer must name the one that it saw last. 0: none. */
  readonly revision: number
  /** Different for each write, so that a writer without an answer can tell its own. */
  readonly data: Uint8Array
}

/** What became of a write of progress. */
export interface WrittenProgress {
  readonly revision: number
  /** The sequences of the dead letters, in their order. */
  readonly deadLetters: readonly number[]
}

/** A node of the cluster has said that it lives, or that it goes. */
export interface NodeNotice {
  readonly node: string
  /** Undefined when the node goes. */
  readonly data: Uint8Array | undefined
}

/** Another node has written the progress of the lane since. */
export class LaneLostError extends Error {
  override readonly name = 'LaneLostError'
}

/** The log has no room for the chunks: nothing of them is stored. */
export class LogFullError extends Error {
  override readonly name = 'LogFullError'
}

export interface ReplicatedLog {
  /**
   * Stores all chunks or none, after those of all earlier calls of this node. Resolves when a
   * majority of the servers has flushed them. While it cannot be known whether they are stored it
   * asks again, and never stores them twice.
   *
   * @param chunks at most `batchMessagesMax`
   * @param options.areMoved they replace records of the log, whose room they make: they go in
   *   beyond the bound of chunks, as long as the servers have room
   * @throws LogFullError: there may be room later (rejects); SluiceError OutboxFull: they are
   *   larger than the log (rejects)
   */
  append(chunks: readonly Chunk[], options?: { readonly areMoved?: boolean }): Promise<void>
  /**
   * Chunks of a lane after the watermarks, in order, each once. Destinations without a watermark
   * are read from their first chunk. Waits for further chunks, and ends when the signal aborts.
   *
   * @param destination reads the chunks of this destination alone; absent: of all
   */
  read(
    lane: number,
    after: Watermarks,
    signal: AbortSignal,
    destination?: string,
  ): AsyncIterable<StoredChunk>
  /** The last progress of a lane; with the revision 0 and no data when there is none. */
  progress(lane: number): Promise<LaneProgress>
  /**
   * Writes the progress of a lane, with dead letters in the same atomic batch. While it cannot be
   * known whether it is stored it asks again.
   *
   * @param progress with the revision of the last progress that this node knows
   * @param deadLetters at most `batchMessagesMax`
   * @throws LaneLostError (rejects): nothing of it is stored
   */
  writeProgress(
    progress: LaneProgress,
    deadLetters?: readonly Uint8Array[],
  ): Promise<WrittenProgress>
  /** Calls back with the last progress of each lane and with each change, until aborted. */
  watchProgress(changed: (progress: LaneProgress) => void, signal: AbortSignal): void
  /**
   * Tells all nodes that a node lives. It is not kept in order: only the last call counts, and
   * nobody but those who watch needs it.
   *
   * @param node letters, digits, `-` and `_`
   * @param data undefined: the node goes, and is forgotten
   */
  announce(node: string, data: Uint8Array | undefined): Promise<void>
  /** Calls back with the last notice of each node, and with each further one, until aborted. */
  watchNodes(changed: (notice: NodeNotice) => void, signal: AbortSignal): void
  /** Dead letters after a sequence, oldest first. */
  deadLetters(afterSequence: number, max: number): Promise<readonly StoredDeadLetter[]>
  /** Removes settled chunks up to the watermarks, and dead letters by their sequence. */
  forget(lane: number, upTo: Watermarks, deadLetters?: readonly number[]): Promise<void>
  /** Removes the dead letters of a lane up to a sequence, which goes, too. */
  forgetDeadLetters(lane: number, upTo: number): Promise<void>
  close(): Promise<void>
}
