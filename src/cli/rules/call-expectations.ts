import { isDeepStrictEqual } from 'node:util'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { shownCall } from '../../aws/call/service-call.ts'
import type { Evaluation } from '../../engine/evaluate-rule.ts'
import type { NewRecord } from '../../outbox/outbox.ts'

/** A call that a test of a rule expects. Members that are left out may have any value. */
export const expectedCallSchema = Type.Object(
  {
    /** The kind of the action: `sqs`. */
    kind: Type.String(),
    operation: Type.Optional(Type.String()),
    parameters: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { additionalProperties: false },
)

/**
 * Compares the calls that a rule makes with those that a test expects.
 *
 * @param expected all of them, in the order of the actions
 * @returns what is not as expected, one line each
 */
export function callProblems(
  expected: readonly Static<typeof expectedCallSchema>[],
  { actions }: Pick<Evaluation, 'actions'>,
): readonly string[] {
  const calls = actions.flatMap((action) => action.records.flatMap(callOf))
  const problems: string[] = []
  if (calls.length !== expected.length) {
    problems.push(`it made ${calls.length} calls, expected ${expected.length}`)
  }
  for (const [index, want] of expected.entries()) {
    const call = calls[index]
    if (call) problems.push(...differences(`calls[${index}]`, want, call))
  }
  return problems
}

function callOf({ destination, call, data }: NewRecord) {
  if (destination.kind === 'kinesis') return []
  return [{ kind: destination.kind, ...shownCall(call ?? '{}', data) }]
}

/** The members of `want` that are not the same in `got`; further members of `got` are no matter. */
function differences(where: string, want: unknown, got: unknown): readonly string[] {
  if (isObject(want) && isObject(got)) {
    return Object.entries(want).flatMap(([name, member]) =>
      differences(`${where}.${name}`, member, Object.hasOwn(got, name) ? got[name] : undefined),
    )
  }
  if (isDeepStrictEqual(want, got)) return []
  const found = got === undefined ? 'absent' : JSON.stringify(got)
  return [`${where} is ${found}, expected ${JSON.stringify(want)}`]
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
