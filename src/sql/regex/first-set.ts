import { unreachable } from '../../base/unreachable.ts'
import { noCodePoint, union } from './code-point-set.ts'
import type { CodePointSet } from './code-point-set.ts'
import { canBeEmpty } from './node-shape.ts'
import type { Node } from './pattern.ts'

/** The code points that a match can begin with; undefined when a match can be empty. */
export function firstSet(root: Node): CodePointSet | undefined {
  return canBeEmpty(root) ? undefined : beginnings(root)
}

function beginnings(node: Node): CodePointSet {
  switch (node.kind) {
    case 'set':
      return node.set
    case 'sequence': {
      const firstTaking = node.parts.findIndex((part) => !canBeEmpty(part))
      const end = firstTaking < 0 ? node.parts.length : firstTaking + 1
      return union(noCodePoint, ...node.parts.slice(0, end).map(beginnings))
    }
    case 'alternation':
      return union(...node.branches.map(beginnings))
    case 'group':
    case 'atomic':
      return beginnings(node.body)
    case 'repeat':
      return node.max === 0 ? noCodePoint : beginnings(node.body)
    case 'assertion':
    case 'look':
    case 'backreference':
      return noCodePoint
    default:
      return unreachable(node)
  }
}
