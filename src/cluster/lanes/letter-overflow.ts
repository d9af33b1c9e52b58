/**
 * Keeps the dead letters of a cluster within their bytes. Each owner drops the oldest ones of its
 * lanes, of those lanes that have more than an equal share: together the owners drop what is too
 * much, and no more. A lane without its share loses none.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { LimitedLog } from '../../telemetry/limited-log.ts'
import { laneCount } from '../log/replicated-log.ts'
import type { ReplicatedLog, StoredDeadLetter } from '../log/replicated-log.ts'
import type { LaneState } from './lane-state.ts'
import type { OwnedLane } from './owned-lane.ts'

/** Bytes of the dead letters of all lanes, as of one engine. */
export const letterBytesMaxDefault = 256 * 1024 * 1024
const checkMs = 1_000
/** Dead letters that are read together. */
const pageMax = 100
/** Pages that are read for one check: what is left is looked for by the next one. */
const pagesMax = 200

type OverflowLane = Pick<OwnedLane, 'lane' | 'isOver' | 'letters' | 'letterBytes'>

interface LetterOverflowDependencies {
  readonly log: Pick<ReplicatedLog, 'deadLetters'>
  readonly clock: Pick<Clock, 'after'>
  readonly limitedLog: LimitedLog
  /** The lanes of this node. */
  readonly owned: ReadonlyMap<number, OverflowLane>
  /** The last states of all lanes. */
  readonly states: () => readonly Pick<LaneState, 'letterBytes'>[]
  /** What a dead letter belongs to. */
  readonly actionOf: (stored: StoredDeadLetter) => ActionOfLetter
}

type ActionOfLetter = { readonly ruleName: string; readonly actionIndex: number } | undefined

interface LetterOverflow {
  start(): void
  stop(): void
}

export function createLetterOverflow(
  dependencies: LetterOverflowDependencies,
  bytesMax: number,
): LetterOverflow {
  const { clock, limitedLog } = dependencies
  const dropOldest = createDropOldest(dependencies)
  let cancel: (() => void) | undefined
  let isStopped = false

  async function check(): Promise<void> {
    try {
      const tooMuch = tooMuchOf(dependencies, bytesMax)
      const dropped = tooMuch.size === 0 ? 0 : await dropOldest(tooMuch)
      if (dropped > 0) {
        const text = 'the oldest dead letters were dropped: there are more than the cluster keeps'
        limitedLog.warn('dead letters', { dropped, bytesMax }, text)
      }
    } catch (thrown) {
      if (!isStopped) {
        const fields = { reason: messageOf(thrown) }
        limitedLog.warn('overflow', fields, 'dead letters that are too many could not be dropped')
      }
    }
    schedule()
  }

  function schedule(): void {
    if (!isStopped) cancel = clock.after(checkMs, () => void check())
  }

  return {
    start: schedule,
    stop() {
      isStopped = true
      cancel?.()
    },
  }
}

/** Of each lane of this node, the bytes that it must drop. */
function tooMuchOf(
  { owned, states }: Pick<LetterOverflowDependencies, 'owned' | 'states'>,
  bytesMax: number,
): Map<number, number> {
  const excessOf = (bytes: number) => Math.max(0, bytes - bytesMax / laneCount)
  const all = states().map(({ letterBytes }) => letterBytes)
  const tooMuch = all.reduce((sum, bytes) => sum + bytes, 0) - bytesMax
  if (tooMuch <= 0) return new Map()
  const excess = all.reduce((sum, bytes) => sum + excessOf(bytes), 0)
  const parts = Array.from(owned.values(), (lane): [number, number] => [
    lane.lane,
    (tooMuch * excessOf(lane.letterBytes())) / excess,
  ])
  return new Map(parts.filter(([, bytes]) => bytes > 0))
}

function createDropOldest({ log, owned, actionOf }: LetterOverflowDependencies) {
  return async (tooMuch: Map<number, number>): Promise<number> => {
    let after = 0
    let dropped = 0
    for (let page = 0; page < pagesMax && tooMuch.size > 0; page++) {
      const read = await log.deadLetters(after, pageMax)
      if (read.length === 0) break
      after = read.at(-1)?.sequence ?? after
      for (const lane of tooMuch.keys()) {
        const owner = owned.get(lane)
        if (owner === undefined || owner.isOver()) {
          tooMuch.delete(lane)
          continue
        }
        const oldest: StoredDeadLetter[] = []
        let left = tooMuch.get(lane) ?? 0
        for (const letter of read) {
          if (left <= 0) break
          // One that is missing here leaves already, so that the others are still the oldest.
          if (letter.lane !== lane || !(await owner.letters.take(letter.sequence))) continue
          oldest.push(letter)
          left -= letter.data.length
        }
        if (left <= 0) tooMuch.delete(lane)
        else tooMuch.set(lane, left)
        if (oldest.length === 0) continue
        const leaving = oldest.map((letter) => {
          return { sequence: letter.sequence, bytes: letter.data.length, of: actionOf(letter) }
        })
        await owner.letters.removeOldest(leaving)
        dropped += oldest.length
      }
    }
    return dropped
  }
}
