import type { SqlEnvironment } from '../../sql/sql.ts'

const multiplier = 48_271
const modulus = 2_147_483_647

/**
 * An environment for one message in which a rule gives the same at each try. Random values are
 * those of a fixed sequence, and no external function is called.
 */
export function repeatableEnvironment(environment: SqlEnvironment): SqlEnvironment {
  let uuids = 0
  let seed = 1
  return {
    get accountId() {
      return environment.accountId
    },
    newUuid() {
      uuids += 1
      return `00000000-0000-4000-8000-${uuids.toString(16).padStart(12, '0')}`
    },
    // The minimal standard generator of Park and Miller.
    random() {
      seed = (seed * multiplier) % modulus
      return seed / modulus
    },
    callExternal: (request) =>
      Promise.reject(
        new Error(`${request.function} is not called when several messages are tried at once`),
      ),
  }
}
