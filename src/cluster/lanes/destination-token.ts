import { createHash } from 'node:crypto'
import { noDestination } from '../../outbox/outbox.ts'
import type { Destination } from '../../outbox/outbox.ts'
import { canonicalText } from '../../outbox/store/destination.ts'

/** What stands for the destination of actions that failed: they made no record. */
export const noDestinationToken = 'none'

/** 96 bits: two of the thousands of destinations that there may be never meet. */
const tokenBytes = 12

/** A destination as the log names it. */
export interface NamedDestination {
  /** The same on each node: letters, digits, `-` and `_`. */
  readonly token: string
  /** Its canonical text, from which each node makes it again. */
  readonly json: string
}

/** Names destinations for the log. Compiled actions pass the same object again and again. */
export function createDestinationTokens(): (destination: Destination) => NamedDestination {
  const known = new WeakMap<Destination, NamedDestination>()
  known.set(noDestination, { token: noDestinationToken, json: '' })
  return (destination) => {
    const named = known.get(destination) ?? nameOf(destination)
    known.set(destination, named)
    return named
  }
}

function nameOf(destination: Destination): NamedDestination {
  const json = canonicalText(destination)
  const hash = createHash('sha256').update(json).digest()
  return { token: hash.subarray(0, tokenBytes).toString('base64url'), json }
}
