import { laneCount } from './replicated-log.ts'

/**
 * What the log of a cluster is called in NATS. `>` and `*` are wildcards there.
 *
 * ```text
 * stream SLUICE_<cluster>
 *   sluice.<cluster>.out.<lane>.<destination>   a chunk of records
 *   sluice.<cluster>.progress.<lane>            the last one counts: owner, what is settled
 *   sluice.<cluster>.dead.<lane>                a dead letter
 *   sluice.<cluster>.mark.<node>                the last batch of a node
 *   sluice.<cluster>.node.<node>                the last one counts: a node lives, or has gone
 * ```
 */
export interface LogNames {
  readonly stream: string
  readonly subjects: string[]
  /** @throws RangeError: no lane, or no token of a destination */
  chunk(lane: number, destination: string): string
  /** All chunks of a lane. */
  chunksOf(lane: number): string
  progress(lane: number): string
  readonly allProgress: string
  deadLetter(lane: number): string
  readonly allDeadLetters: string
  mark(node: string): string
  notice(node: string): string
  readonly allNotices: string
}

const token = /^[A-Za-z0-9_-]+$/

/** @param cluster letters, digits, `-` and `_` */
export function createLogNames(cluster: string): LogNames {
  const prefix = `sluice.${cluster}`
  return {
    stream: `SLUICE_${cluster}`,
    subjects: [
      `${prefix}.out.*.*`,
      `${prefix}.progress.*`,
      `${prefix}.dead.*`,
      `${prefix}.mark.*`,
      `${prefix}.node.*`,
    ],
    chunk: (lane, destination) => `${prefix}.out.${checkedLane(lane)}.${checkedToken(destination)}`,
    chunksOf: (lane) => `${prefix}.out.${checkedLane(lane)}.*`,
    progress: (lane) => `${prefix}.progress.${checkedLane(lane)}`,
    allProgress: `${prefix}.progress.*`,
    deadLetter: (lane) => `${prefix}.dead.${checkedLane(lane)}`,
    allDeadLetters: `${prefix}.dead.*`,
    mark: (node) => `${prefix}.mark.${checkedToken(node)}`,
    notice: (node) => `${prefix}.node.${checkedToken(node)}`,
    allNotices: `${prefix}.node.*`,
  }
}

function checkedLane(lane: number): number {
  if (Number.isInteger(lane) && lane >= 0 && lane < laneCount) return lane
  throw new RangeError(`there is no lane ${lane}`)
}

function checkedToken(text: string): string {
  if (token.test(text)) return text
  throw new RangeError(`${JSON.stringify(text)} has more than letters, digits, - and _`)
}

/** The last token of a subject: the destination of a chunk, a lane, or a node. */
export function lastTokenOf(subject: string): string {
  return subject.slice(subject.lastIndexOf('.') + 1)
}
