/**
 * Decides what Java accepts as the body of a look-behind: Java must find a maximum length of its
 * matches. Its method is arbitrary (`x+` passes, `(?:xy)+` does not), so this file follows Java 17
 * step by step, including the overflow of its 32-bit numbers.
 */
import { unreachable } from '../../base/unreachable.ts'
import type { Node } from './pattern.ts'

type Repeat = Extract<Node, { kind: 'repeat' }>

interface Study {
  /** The maximum length so far, as a 32-bit number. */
  length: number
  isBounded: boolean
  /** Whether the part so far matches in only one way; a repeat of any other part has no bound. */
  isDeterministic: boolean
}

/** Java's number for an unbounded count. */
const endless = 0x7fff_ffff

export function hasBoundedLength(body: Node): boolean {
  const study = newStudy()
  look(body, study)
  return study.isBounded
}

function newStudy(): Study {
  return { length: 0, isBounded: true, isDeterministic: true }
}

function look(node: Node, study: Study): void {
  switch (node.kind) {
    case 'set':
      study.length = (study.length + 1) | 0
      return
    case 'sequence':
      for (const part of node.parts) look(part, study)
      return
    case 'alternation':
      lookAtBranches(node.branches, study)
      return
    case 'group':
    case 'atomic':
      look(node.body, study)
      return
    case 'repeat':
      lookAtRepeat(node, study)
      return
    case 'backreference':
      study.isBounded = false
      return
    case 'assertion':
    case 'look':
      return
    default:
      unreachable(node)
  }
}

function lookAtBranches(branches: readonly Node[], study: Study): void {
  const studies = branches.map((branch) => {
    const own = newStudy()
    look(branch, own)
    return own
  })
  study.length = (study.length + Math.max(...studies.map(({ length }) => length))) | 0
  study.isBounded &&= studies.every(({ isBounded }) => isBounded)
  study.isDeterministic = false
}

function lookAtRepeat({ body, min, max, mode }: Repeat, study: Study): void {
  if (min === 0 && max === 1) {
    look(body, study)
    study.isDeterministic = false
    return
  }
  const isEndless = max === Number.POSITIVE_INFINITY
  if (body.kind === 'set' && isEndless && mode === 'greedy') {
    study.length = (study.length + endless) | 0 // and Java 17 takes it for a bound
    return
  }
  const own = newStudy()
  look(body, own)
  if (body.kind === 'group' && mode !== 'possessive' && !own.isDeterministic) {
    study.isBounded = false
    study.isDeterministic = false
    return
  }
  const length = (Math.imul(own.length, isEndless ? endless : max) + study.length) | 0
  study.isBounded &&= own.isBounded && length >= study.length
  study.length = length
  study.isDeterministic &&= own.isDeterministic && min === max
}
