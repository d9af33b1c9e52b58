/** Tests the shape of a pattern's tree. */
import { unreachable } from '../../base/unreachable.ts'
import type { Node } from './pattern.ts'

/** Whether a node may match without taking a character. */
export function canBeEmpty(node: Node): boolean {
  switch (node.kind) {
    case 'set':
      return false
    case 'sequence':
      return node.parts.every(canBeEmpty)
    case 'alternation':
      return node.branches.some(canBeEmpty)
    case 'group':
    case 'atomic':
      return canBeEmpty(node.body)
    case 'repeat':
      return node.min === 0 || canBeEmpty(node.body)
    case 'assertion':
    case 'look':
    case 'backreference':
      return true
    default:
      return unreachable(node)
  }
}

/** Whether a node does nothing: it takes no character, has no assertion and captures nothing. */
export function isNothing(node: Node): boolean {
  switch (node.kind) {
    case 'sequence':
      return node.parts.every(isNothing)
    case 'group':
      return node.index === undefined && isNothing(node.body)
    case 'atomic':
      return isNothing(node.body)
    case 'repeat':
      return node.max === 0 || isNothing(node.body)
    case 'alternation':
    case 'set':
    case 'assertion':
    case 'look':
    case 'backreference':
      return false
    default:
      return unreachable(node)
  }
}

/** Whether a node contains a capturing group. */
export function hasCapture(node: Node): boolean {
  switch (node.kind) {
    case 'sequence':
      return node.parts.some(hasCapture)
    case 'alternation':
      return node.branches.some(hasCapture)
    case 'group':
      return node.index !== undefined || hasCapture(node.body)
    case 'atomic':
    case 'look':
    case 'repeat':
      return hasCapture(node.body)
    case 'set':
    case 'assertion':
    case 'backreference':
      return false
    default:
      return unreachable(node)
  }
}
