import { isArray, isObject } from '../values/values.ts'
import type { SqlObject, Value } from '../values/values.ts'
import { memberSteps, spend } from '../values/work.ts'
import type { Work } from '../values/work.ts'

/**
 * The output of a rule under 2015-10-08 as one test of AWS found it: an object has no arrays, and
 * the members of its inner objects stand in itself. An array as a whole payload is empty. Where two
 * members get one name, the later one wins, which the test did not show.
 *
 * @throws WorkSpent
 */
export function firstVersionOutput(value: Value, work: Work): Value {
  if (isArray(value)) return []
  if (!isObject(value)) return value
  const members = new Map<string, Value>()
  addMembers(value, members, work)
  return members
}

/** The recursion is as deep as the value, which the reader of payloads and the parser bound. */
function addMembers(object: SqlObject, members: Map<string, Value>, work: Work): void {
  spend(work, object.size * memberSteps)
  for (const [name, value] of object) {
    if (isObject(value)) addMembers(value, members, work)
    else if (!isArray(value)) members.set(name, value)
  }
}
