import type { Clock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { AnswerLost, stateValueBytesMax } from './shared-state.ts'
import type { SharedState, StateEntry } from './shared-state.ts'
import type { StateCopy } from './state-copy.ts'

interface StateWriter {
  /**
   * @param before the revision to replace; undefined when there must be no value
   * @returns undefined when there is another revision
   * @throws SluiceError ServiceUnavailableException, InvalidRequestException: it is too large
   *   (rejects)
   */
  put(key: string, text: string, before: number | undefined): Promise<StateEntry | undefined>
  /**
   * @returns false when there is another revision
   * @throws SluiceError ServiceUnavailableException (rejects)
   */
  remove(key: string, before: number): Promise<boolean>
}

interface StateWriterDependencies {
  readonly state: SharedState
  readonly clock: Pick<Clock, 'wallMs'>
  readonly copy: Pick<StateCopy, 'set' | 'unset' | 'get'>
  /** Throws when the store cannot be reached. */
  readonly refuseLost: () => void
}

/** Attempts of a write whose answers do not come. */
const attemptsMax = 3

/** Writes to the store and then to the copy. */
export function createStateWriter(dependencies: StateWriterDependencies): StateWriter {
  const { state, clock, copy, refuseLost } = dependencies
  return {
    async put(key, text, before) {
      const value = Buffer.from(text)
      if (value.length > stateValueBytesMax) throw tooLarge(key, value.length)
      refuseLost()
      const revision = await settled(
        () => (before === undefined ? state.create(key, value) : state.put(key, value, before)),
        async () => {
          const now = await state.get(key)
          return now?.value.equals(value) && now.revision > (before ?? 0) ? now.revision : undefined
        },
      )
      if (revision === undefined) return undefined
      const entry = { key, value, revision, writtenMs: clock.wallMs() }
      copy.set(entry)
      return entry
    },

    async remove(key, before) {
      refuseLost()
      const isRemoved = await settled(
        async () => ((await state.delete(key, before)) ? true : undefined),
        async () => ((await state.get(key)) === undefined ? true : undefined),
      )
      if (isRemoved) copy.unset(key, before)
      return isRemoved ?? false
    },
  }
}

/**
 * Repeats a write whose answer was lost until it is known whether it was made.
 *
 * @param write resolves with undefined when the key has another revision
 * @param ofEarlier what an earlier attempt left, if it is what the key has now
 * @throws SluiceError ServiceUnavailableException (rejects): it stays unknown
 */
async function settled<Result>(
  write: () => Promise<Result | undefined>,
  ofEarlier: () => Promise<Result | undefined>,
): Promise<Result | undefined> {
  let lost: unknown
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    try {
      const result = await write()
      if (result !== undefined || lost === undefined) return result
      return await ofEarlier()
    } catch (thrown) {
      // A refusal says nothing about the attempt before it.
      if (lost === undefined && !(thrown instanceof AnswerLost)) throw thrown
      lost ??= thrown
    }
  }
  const made = await ofEarlier().catch(() => undefined)
  if (made !== undefined) return made
  throw new SluiceError(
    'ServiceUnavailableException',
    'it is not known whether the change was made, because the state of the cluster did not ' +
      `answer (${messageOf(lost)}): look at the resource, then try again`,
    { cause: lost },
  )
}

function tooLarge(key: string, bytes: number): SluiceError {
  return new SluiceError(
    'InvalidRequestException',
    `${key} has ${bytes} bytes: the state of a cluster takes at most ${stateValueBytesMax}`,
  )
}
