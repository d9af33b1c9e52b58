/** Replays and deletions of dead letters, which the owners of their lanes carry out. */
import { SluiceError, errorCatalogue, messageOf } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'
import type { Clock } from '../../base/clock.ts'
import { replayByRule } from '../../outbox/managed-outbox.ts'
import type { ReplayingEngine } from '../../outbox/managed-outbox.ts'
import type { DeadLetterResult, DeadLetterSelection } from '../../outbox/outbox.ts'
import type { LetterElsewhere, MovedOnThisNode } from '../lanes/lane-dead-letters.ts'
import { LaneLostError } from '../log/replicated-log.ts'
import type { Lanes } from '../lanes/lanes.ts'
import { NoAnswerError } from './node-requests.ts'
import type { NodeAnswer, NodeRequests } from './node-requests.ts'

type Move = { readonly ask: 'delete' } | { readonly ask: 'replay'; readonly how: 'rule' | 'asIs' }

export interface LetterMovesDependencies {
  readonly lanes: Pick<Lanes, 'deadLetters' | 'isLost' | 'node' | 'ownerOf'>
  readonly requests: NodeRequests
  readonly clock: Clock
  readonly engine: ReplayingEngine
}

interface LetterMoves {
  /**
   * Moves dead letters of all lanes.
   *
   * @throws SluiceError ServiceUnavailableException: the owner of a lane does not answer, or a lane
   *   has none for long; what was moved before stays moved (rejects)
   */
  move(how: Move, selection: DeadLetterSelection): Promise<DeadLetterResult>
  /** Moves those of the lanes that this node owns. */
  moveHere(how: Move, selection: DeadLetterSelection): Promise<MovedOnThisNode>
}

/** Dead letters in one request, so that its owner answers in time. */
const partMax = 50
const answerMsMax = 10_000
/** How long a lane may have no owner that answers: its lease, and the time to take it. */
const ownerlessMsMax = 15_000
const lookAgainMs = 250

function createMoveHere({
  lanes: { deadLetters },
  engine,
}: Pick<LetterMovesDependencies, 'lanes' | 'engine'>): LetterMoves['moveHere'] {
  return async (how, selection) => {
    try {
      if (how.ask === 'delete') return await deadLetters.delete(selection)
      if (how.how === 'asIs') return await deadLetters.replay(selection, 'asIs')
      return await replayByRule(deadLetters, selection, engine)
    } catch (thrown) {
      if (!(thrown instanceof LaneLostError)) throw thrown
      throw unavailable('their lane goes to another node', thrown)
    }
  }
}

export function createLetterMoves({
  lanes,
  requests,
  clock,
  engine,
}: LetterMovesDependencies): LetterMoves {
  const moveHere = createMoveHere({ lanes, engine })

  /** @returns undefined when nothing was done: the node is gone */
  async function moveAt(
    node: string,
    how: Move,
    letters: readonly LetterElsewhere[],
  ): Promise<MovedOnThisNode | undefined> {
    const ids = letters.map(({ id }) => id)
    if (node === lanes.node) return moveHere(how, { ids })
    try {
      const answer = await requests.ask(node, { ...how, ids }, answerMsMax)
      if (answer.kind === 'answer') return answer.value as MovedOnThisNode
      throw new SluiceError(codeOf(answer.code), answer.message)
    } catch (thrown) {
      if (thrown instanceof NoAnswerError && thrown.isUnheard) return undefined
      if (!(thrown instanceof NoAnswerError)) throw thrown
      throw unavailable(`node ${node}, which has their lanes, does not answer`, thrown)
    }
  }

  async function moveElsewhere(how: Move, letters: readonly LetterElsewhere[]) {
    const sum = { count: 0, kept: 0 }
    let left = letters
    let lateMs = clock.monotonicMs() + ownerlessMsMax
    while (left[0] !== undefined) {
      const { lane } = left[0]
      const owner = lanes.ownerOf(lane)
      const isOfOwner = (letter: LetterElsewhere) => lanes.ownerOf(letter.lane) === owner
      const part = left.filter(isOfOwner).slice(0, partMax)
      const moved = owner === undefined ? undefined : await moveAt(owner, how, part)
      const elsewhere = moved?.elsewhere ?? part
      const asked = new Set(part)
      left = [...elsewhere, ...left.filter((letter) => !asked.has(letter))]
      sum.count += moved?.count ?? 0
      sum.kept += moved?.kept ?? 0
      if (elsewhere.length < part.length) {
        lateMs = clock.monotonicMs() + ownerlessMsMax
        continue
      }
      if (clock.monotonicMs() >= lateMs) throw unavailable(`no live node has lane ${lane}`)
      await clock.sleep(lookAgainMs)
    }
    return sum
  }

  return {
    moveHere,
    async move(how, selection) {
      if (lanes.isLost()) throw unavailable('the log of the cluster cannot be reached')
      const here = await moveHere(how, selection)
      const there = await moveElsewhere(how, here.elsewhere)
      const count = here.count + there.count
      if (here.isCut)
        throw unavailable(`${count} were moved, and there are too many for one request`)
      return { count, kept: here.kept + there.kept }
    },
  }
}

/** The answer of a node to another one. Never rejects. */
export async function answerRequest(work: () => Promise<unknown>): Promise<NodeAnswer> {
  try {
    return { kind: 'answer', value: await work() }
  } catch (thrown) {
    const code = thrown instanceof SluiceError ? thrown.code : 'ServiceUnavailableException'
    return { kind: 'problem', code, message: messageOf(thrown) }
  }
}

function unavailable(reason: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'ServiceUnavailableException',
    `The dead letters could not all be moved: ${reason}. Ask again: what was moved stays moved`,
    { cause },
  )
}

/** Another node may have codes of a later release. */
function codeOf(code: string): ErrorCode {
  return code in errorCatalogue ? (code as ErrorCode) : 'ServiceUnavailableException'
}
