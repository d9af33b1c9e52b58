import { collectionFunctions } from './collections.ts'
import type { SqlFunction } from './function.ts'
import { messageFunctions } from './message.ts'
import { stringFunctions } from './string.ts'

/** Every function of the language that there is, by its name in lower case. */
export const functionTable: ReadonlyMap<string, SqlFunction> = new Map(
  [...messageFunctions, ...stringFunctions, ...collectionFunctions].map((spec) => [
    spec.name.toLowerCase(),
    spec,
  ]),
)

/** The function that a call names, in any case. */
export function findFunction(name: string): SqlFunction | undefined {
  return functionTable.get(name.toLowerCase())
}
