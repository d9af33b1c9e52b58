/**
 * A lease as JSON, for stores of values under keys.
 *
 *     {"format": 1, "lease": {...}, "state": {"id": "...", "parts": 2}}
 *
 * The members of `lease` are those of `Lease`; hash keys are decimal texts. The text that an
 * application stores with a checkpoint stands beside the lease when it is long: `state` says where.
 */
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Checkpoint } from '../checkpoints.ts'
import type { Lease, LeaseCheckpoint } from './lease.ts'

/** Where the state of a checkpoint is, when it is not in the text of its lease. */
export interface StateParts {
  readonly id: string
  readonly parts: number
}

const format = 1
const text = Type.String()
const optionalText = Type.Optional(Type.String())
const checkpointSchema = Type.Union([
  Type.Object({
    kind: Type.Literal('after'),
    sequenceNumber: text,
    subSequenceNumber: Type.Optional(Type.Number()),
    lastSubSequenceNumber: Type.Optional(Type.Number()),
    state: optionalText,
  }),
  Type.Object({
    kind: Type.Literal('start'),
    position: Type.Union([
      Type.Object({ type: Type.Literal('TRIM_HORIZON') }),
      Type.Object({ type: Type.Literal('AT_TIMESTAMP'), timestampMs: Type.Number() }),
    ]),
    state: optionalText,
  }),
  Type.Object({ kind: Type.Union([Type.Literal('ended'), Type.Literal('untimed')]) }),
])
const storedSchema = Type.Object({
  format: Type.Literal(format),
  lease: Type.Object({
    shardId: text,
    owner: optionalText,
    handedOverBy: optionalText,
    counter: Type.Number(),
    checkpoint: checkpointSchema,
    isFromLatest: Type.Boolean(),
    ownerSwitches: Type.Number(),
    parentIds: Type.Array(text),
    childIds: Type.Array(text),
    hashKeys: Type.Optional(
      Type.Object({
        starting: Type.String({ pattern: '^[0-9]+$' }),
        ending: Type.String({ pattern: '^[0-9]+$' }),
      }),
    ),
  }),
  state: Type.Optional(Type.Object({ id: text, parts: Type.Integer({ minimum: 1 }) })),
})
const storedValidator = Compile(storedSchema)

/** @param parts where the state is; the text has it otherwise */
export function textOfLease(lease: Lease, parts: StateParts | undefined): string {
  const { hashKeys, checkpoint } = lease
  const stored = {
    ...lease,
    checkpoint: parts ? withState(checkpoint, undefined) : checkpoint,
    hashKeys: hashKeys && { starting: String(hashKeys.starting), ending: String(hashKeys.ending) },
  }
  return JSON.stringify({ format, lease: stored, state: parts })
}

/**
 * @returns the lease, without its state when that is in parts; undefined when the text is none of
 *   this release
 */
export function leaseOfText(
  read: string,
): { readonly lease: Lease; readonly parts: StateParts | undefined } | undefined {
  const stored = parsed(read)
  if (!storedValidator.Check(stored)) return undefined
  const { hashKeys, ...lease } = stored.lease
  return {
    lease: {
      ...lease,
      hashKeys: hashKeys && {
        starting: BigInt(hashKeys.starting),
        ending: BigInt(hashKeys.ending),
      },
    },
    parts: stored.state,
  }
}

function parsed(read: string): unknown {
  try {
    return JSON.parse(read)
  } catch {
    return undefined
  }
}

export const stateOf = (checkpoint: LeaseCheckpoint): string | undefined =>
  'state' in checkpoint ? checkpoint.state : undefined

/** The checkpoint with another state; one that has none stays as it is. */
export function withState(checkpoint: LeaseCheckpoint, state: string | undefined): LeaseCheckpoint {
  const hasState = checkpoint.kind === 'after' || checkpoint.kind === 'start'
  return hasState ? ({ ...checkpoint, state } satisfies Checkpoint) : checkpoint
}
