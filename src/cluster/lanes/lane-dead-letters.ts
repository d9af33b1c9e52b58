/** The dead letters of all lanes: any node lists them, and the owner of a lane moves its own. */
import { SluiceError } from '../../base/errors.ts'
import type { DeadLetter, NewRecord, Outbox, ReplayByRule } from '../../outbox/outbox.ts'
import type { DeadLetterPage, DeadLetterSelection } from '../../outbox/outbox.ts'
import type { DeadLetterQuery } from '../../outbox/dead-letters.ts'
import { decodeDeadLetter } from '../../outbox/store/dead-letter-codec.ts'
import { parseDestination } from '../../outbox/store/destination.ts'
import { decodeRecord, decodeSource } from '../../outbox/store/record-codec.ts'
import { batchMessagesMax, laneCount } from '../log/replicated-log.ts'
import type { ReplicatedLog, StoredDeadLetter } from '../log/replicated-log.ts'
import { decodeLetter } from './letter-codec.ts'
import type { OwnedLane } from './owned-lane.ts'

/** A dead letter of a lane that this node does not own. */
export interface LetterElsewhere {
  readonly id: string
  readonly lane: number
}

/** What became of a selection on this node. */
export interface MovedOnThisNode {
  readonly count: number
  /** Dead letters that stay, because nothing came of them. */
  readonly kept: number
  /** Selected dead letters of lanes that this node does not own, in the order of their ids. */
  readonly elsewhere: readonly LetterElsewhere[]
  /** Too many are elsewhere: what is behind the last one was not looked at. */
  readonly isCut: boolean
}

export interface LaneDeadLetters {
  /** A page of those of all lanes, in the order of their ids. Damaged chunks are left out. */
  list(query?: DeadLetterQuery): Promise<DeadLetterPage>
  /**
   * Stores the records of dead letters again and removes the dead letters: those of lanes that this
   * node owns. A node that dies in between leaves both there.
   *
   * @param how as they were, or what the rule makes of them now
   * @param onDurable called with the ids of each part once its records are in the log
   * @throws what the log refuses (rejects): later ones are kept
   */
  replay(
    selection: DeadLetterSelection,
    how: 'asIs' | ReplayByRule,
    onDurable?: (ids: readonly string[]) => void | Promise<void>,
  ): Promise<MovedOnThisNode>
  /** Drops dead letters of lanes that this node owns, damaged chunks among them. */
  delete(selection: DeadLetterSelection): Promise<MovedOnThisNode>
}

interface LaneDeadLettersDependencies {
  readonly log: Pick<ReplicatedLog, 'deadLetters' | 'progress'>
  readonly owned: ReadonlyMap<number, OwnedLane>
  readonly append: Outbox['append']
  /** Dead letters that are about to leave, of all lanes. */
  readonly leaving: () => ReadonlySet<number>
}

const listedDefault = 50
const listedMax = 250
/** Dead letters that one page looks at: few of them may belong to the rule. */
const scannedMax = 2_000
/** Dead letters that are read, and moved, together. */
const partMax = 100
/** Ids that are told to be elsewhere. */
const elsewhereMax = 10_000

interface ReadLetter extends StoredDeadLetter {
  /** Undefined for a damaged chunk. */
  readonly deadLetter: DeadLetter | undefined
}

export function createLaneDeadLetters(parts: LaneDeadLettersDependencies): LaneDeadLetters {
  const { append } = parts

  async function move(
    selection: DeadLetterSelection,
    movePart: (lane: OwnedLane, letters: readonly ReadLetter[]) => Promise<number>,
  ): Promise<MovedOnThisNode> {
    let count = 0
    let taken = 0
    const elsewhere: LetterElsewhere[] = []
    for await (const part of selected(parts, selection)) {
      for (const [lane, letters] of byLane(part)) {
        const owner = parts.owned.get(lane)
        if (owner === undefined) {
          elsewhere.push(...letters.map(({ sequence }) => ({ id: String(sequence), lane })))
          continue
        }
        const own = await takenOf(owner, letters)
        taken += own.length
        count += await movePart(owner, own)
      }
      if (elsewhere.length > elsewhereMax) break
    }
    return { count, kept: taken - count, elsewhere, isCut: elsewhere.length > elsewhereMax }
  }

  return {
    list: (query = {}) => listPage(parts, query),
    delete: (selection) =>
      move(selection, async (lane, letters) => {
        await lane.letters.remove(letters.map(leavingOf), false)
        return letters.length
      }),
    replay: (selection, how, onDurable) =>
      move(selection, async (lane, letters) => {
        let count = 0
        const held = new Set(letters)
        const putBack = (letter: ReadLetter) => {
          held.delete(letter)
          lane.letters.putBack(letter.sequence)
        }
        try {
          for (const letter of letters) {
            const records = await recordsOf(letter, how)
            if (records !== undefined) {
              await append(records)
              await onDurable?.([String(letter.sequence)])
              await lane.letters.remove([leavingOf(letter)], true)
              count += 1
            }
            putBack(letter)
          }
        } finally {
          for (const letter of held) putBack(letter)
        }
        return count
      }),
  }
}

/** Takes dead letters of a lane, in their order; those that others move are left out. */
async function takenOf(
  { letters }: Pick<OwnedLane, 'letters'>,
  found: readonly ReadLetter[],
): Promise<readonly ReadLetter[]> {
  const own: ReadLetter[] = []
  for (const letter of found) if (await letters.take(letter.sequence)) own.push(letter)
  return own
}

const leavingOf = ({ sequence, data, deadLetter: of }: ReadLetter) => {
  return { sequence, bytes: data.length, of }
}

async function recordsOf(
  { deadLetter }: ReadLetter,
  how: 'asIs' | ReplayByRule,
): Promise<readonly NewRecord[] | undefined> {
  if (deadLetter === undefined) return undefined
  if (how !== 'asIs') return how(deadLetter)
  const { destination, partitionKey } = deadLetter
  // An action that failed made no record.
  if (destination === undefined || partitionKey === undefined) return undefined
  return [{ ...deadLetter, destination, partitionKey }]
}

async function listPage(
  { log, leaving }: LaneDeadLettersDependencies,
  { ruleName, nextToken = '0', maxResults = listedDefault }: DeadLetterQuery,
): Promise<DeadLetterPage> {
  const countMax = Math.min(maxResults, listedMax)
  const gone = leaving()
  const deadLetters: DeadLetter[] = []
  let lastSequence = sequenceOf(nextToken)
  for (let scanned = 0; scanned < scannedMax; scanned += partMax) {
    const page = await log.deadLetters(lastSequence, partMax)
    if (page.length === 0) return { deadLetters }
    for (const stored of page) {
      lastSequence = stored.sequence
      const { deadLetter } = readLetter(stored)
      if (deadLetter === undefined || gone.has(stored.sequence)) continue
      if (ruleName !== undefined && deadLetter.ruleName !== ruleName) continue
      deadLetters.push(deadLetter)
      if (deadLetters.length === countMax) return { deadLetters, nextToken: String(lastSequence) }
    }
  }
  return { deadLetters, nextToken: String(lastSequence) }
}

/** The selected dead letters, in parts. Those that are added meanwhile are left out. */
async function* selected(
  parts: LaneDeadLettersDependencies,
  selection: DeadLetterSelection,
): AsyncGenerator<readonly ReadLetter[], void> {
  const { log } = parts
  if ('ids' in selection) {
    const ids = [...new Set(selection.ids.map(sequenceOf))].toSorted((a, b) => a - b)
    let readUpTo = 0
    for (const id of ids) {
      if (id <= readUpTo) continue
      const page = await log.deadLetters(id - 1, Math.min(partMax, ids.length))
      const letters = page.filter(({ sequence }) => ids.includes(sequence))
      readUpTo = page.at(-1)?.sequence ?? id
      if (letters.length > 0) yield letters.map(readLetter)
    }
    return
  }
  const { ruleName } = selection
  const endSequence = await endOf(parts)
  let lastSequence = 0
  for (;;) {
    const page = await log.deadLetters(lastSequence, partMax)
    const letters = page.filter(({ sequence }) => sequence <= endSequence).map(readLetter)
    if (letters.length === 0) return
    lastSequence = letters.at(-1)?.sequence ?? lastSequence
    yield letters.filter(
      ({ deadLetter }) => ruleName === undefined || deadLetter?.ruleName === ruleName,
    )
  }
}

/** A sequence behind those of all dead letters that there are. */
async function endOf({
  log,
  owned,
}: Pick<LaneDeadLettersDependencies, 'log' | 'owned'>): Promise<number> {
  const [first] = owned.values()
  if (first !== undefined) return first.writtenNow()
  // Dead letters stand right behind the progress that is written with them.
  const lanes = Array.from({ length: laneCount }, (_, lane) => lane)
  const written = await Promise.all(lanes.map((lane) => log.progress(lane)))
  return Math.max(...written.map(({ revision }) => revision)) + batchMessagesMax
}

function byLane(letters: readonly ReadLetter[]): ReadonlyMap<number, ReadLetter[]> {
  const lanes = new Map<number, ReadLetter[]>()
  for (const letter of letters) {
    const ofLane = lanes.get(letter.lane) ?? []
    lanes.set(letter.lane, ofLane)
    ofLane.push(letter)
  }
  return lanes
}

/** @returns undefined for a damaged chunk, which belongs to no action */
export function actionOfLetter(
  stored: StoredDeadLetter,
): Pick<DeadLetter, 'ruleName' | 'actionIndex'> | undefined {
  return readLetter(stored).deadLetter
}

/** @throws SluiceError DataFolderUnusable when it is of no known layout */
function readLetter(stored: StoredDeadLetter): ReadLetter {
  const letter = decodeLetter(stored.data)
  if (letter?.kind !== 'deadLetter') return { ...stored, deadLetter: undefined }
  const value = Buffer.from(letter.value.buffer, letter.value.byteOffset, letter.value.length)
  const { record, destinationId: _, ...facts } = decodeDeadLetter(value)
  const isOfRecord = letter.destination !== ''
  const deadLetter: DeadLetter = {
    id: String(stored.sequence),
    ...facts,
    ...decodeRecord(record),
    ...(isOfRecord
      ? { destination: parseDestination(letter.destination) }
      : { partitionKey: undefined }),
    source: decodeSource(record),
  }
  return { ...stored, deadLetter }
}

function sequenceOf(text: string): number {
  const sequence = Number(text)
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(sequence)) return sequence
  throw new SluiceError('InvalidRequestException', `${text} is not an id of a dead letter`)
}
