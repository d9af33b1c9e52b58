import { unreachable } from '../../base/unreachable.ts'
import type { Node } from './pattern.ts'

/**
 * The first backreference whose group may not have matched. Such a reference fails in Java, and
 * matches the empty text in RegExp.
 *
 * @returns its offset in the pattern, or undefined when there is none
 */
export function findUnsureReference(root: Node): number | undefined {
  return walk(root, new Set()).unsureAt
}

interface Walk {
  /** The groups that have certainly matched when the node has matched. */
  readonly set: ReadonlySet<number>
  readonly unsureAt: number | undefined
}

/** @param before the groups that have certainly matched before the node */
function walk(node: Node, before: ReadonlySet<number>): Walk {
  const unchanged: Walk = { set: before, unsureAt: undefined }
  switch (node.kind) {
    case 'set':
    case 'assertion':
      return unchanged
    case 'backreference':
      return { set: before, unsureAt: before.has(node.index) ? undefined : node.at }
    case 'sequence': {
      let set = before
      for (const part of node.parts) {
        const after = walk(part, set)
        if (after.unsureAt !== undefined) return after
        set = after.set
      }
      return { set, unsureAt: undefined }
    }
    case 'alternation': {
      const walks = node.branches.map((branch) => walk(branch, before))
      const [first, ...others] = walks.map(({ set }) => set)
      const common = [...(first ?? before)].filter((index) => others.every((set) => set.has(index)))
      return {
        set: new Set(common),
        unsureAt: walks.find((each) => each.unsureAt !== undefined)?.unsureAt,
      }
    }
    case 'group': {
      const after = walk(node.body, before)
      return node.index === undefined
        ? after
        : { ...after, set: new Set(after.set).add(node.index) }
    }
    case 'atomic':
      return walk(node.body, before)
    case 'repeat': {
      const after = walk(node.body, before)
      return node.min > 0 ? after : { ...after, set: before }
    }
    case 'look': {
      const after = walk(node.body, before)
      return node.negative ? { ...after, set: before } : after
    }
    default:
      return unreachable(node)
  }
}
