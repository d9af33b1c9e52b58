import { evaluateSeveral } from '../../api/evaluate.ts'
import type { Evaluation, TriedRule } from '../../api/evaluate.ts'
import type { LiveMessage } from '../../api/live-messages.ts'
import { requestOfLive } from './message.ts'

export type Change = 'matches now' | 'no longer matches' | 'another output'

export interface Example {
  readonly message: LiveMessage
  readonly change: Change
}

/** What becomes of live messages when a rule is changed. */
export interface Comparison {
  readonly compared: number
  readonly counts: Readonly<Record<Change, number>>
  /** Those for which an external function would have to be called. */
  readonly unknown: number
  readonly examples: readonly Example[]
}

const messagesOfCall = 100
/** The engine takes 512 KiB in a request; base64 makes a third more. */
const bytesOfCall = 262_144
const examplesMax = 20

/** @param progress is told how far it is, after each call. */
export async function compareRules(
  { before, after }: { readonly before: TriedRule; readonly after: TriedRule },
  messages: readonly LiveMessage[],
  signal: AbortSignal,
  progress: (comparison: Comparison) => void,
): Promise<void> {
  let comparison: Comparison = {
    compared: 0,
    counts: { 'matches now': 0, 'no longer matches': 0, 'another output': 0 },
    unknown: 0,
    examples: [],
  }
  for (const some of inCalls(messages)) {
    const requests = some.map(requestOfLive)
    const [old, fresh] = await Promise.all([
      evaluateSeveral(before, requests, signal),
      evaluateSeveral(after, requests, signal),
    ])
    for (const [index, message] of some.entries()) {
      comparison = withMessage(comparison, message, old[index], fresh[index])
    }
    progress(comparison)
  }
}

function inCalls(messages: readonly LiveMessage[]): readonly (readonly LiveMessage[])[] {
  const calls: LiveMessage[][] = []
  let bytes = Infinity
  for (const message of messages) {
    const last = calls.at(-1)
    if (last && last.length < messagesOfCall && bytes + message.bytes <= bytesOfCall) {
      last.push(message)
      bytes += message.bytes
    } else {
      calls.push([message])
      ;({ bytes } = message)
    }
  }
  return calls
}

function withMessage(
  comparison: Comparison,
  message: LiveMessage,
  old: Evaluation | undefined,
  fresh: Evaluation | undefined,
): Comparison {
  const compared = comparison.compared + 1
  if (old === undefined || fresh === undefined || isUnknown(old) || isUnknown(fresh)) {
    return { ...comparison, compared, unknown: comparison.unknown + 1 }
  }
  const change = changeOf(old, fresh)
  if (change === undefined) return { ...comparison, compared }
  const { counts, examples } = comparison
  return {
    ...comparison,
    compared,
    counts: { ...counts, [change]: counts[change] + 1 },
    examples: examples.length < examplesMax ? [...examples, { message, change }] : examples,
  }
}

const isUnknown = ({ noMatch }: Evaluation): boolean => noMatch?.reason === 'externalFunction'

const outputOf = ({ outputBase64, actions, errors }: Evaluation): string =>
  JSON.stringify([outputBase64, actions, errors])

function changeOf(old: Evaluation, fresh: Evaluation): Change | undefined {
  if (old.matched !== fresh.matched) return fresh.matched ? 'matches now' : 'no longer matches'
  return outputOf(old) === outputOf(fresh) ? undefined : 'another output'
}
