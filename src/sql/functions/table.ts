import { collectionFunctions } from './collections.ts'
import { encodeFunctions } from './encode.ts'
import { externalFunctions } from './external.ts'
import type { SqlFunction } from './function.ts'
import { hashFunctions } from './hash.ts'
import { mathFunctions } from './math.ts'
import { messageFunctions } from './message.ts'
import { regexFunctions } from './regex.ts'
import { stringFunctions } from './string.ts'
import { timeFunctions } from './time.ts'

/** Every function of the language, by its name in lower case. */
export const functionTable: ReadonlyMap<string, SqlFunction> = new Map(
  [
    ...messageFunctions,
    ...stringFunctions,
    ...regexFunctions,
    ...collectionFunctions,
    ...mathFunctions,
    ...hashFunctions,
    ...encodeFunctions,
    ...timeFunctions,
    ...externalFunctions,
  ].map((spec) => [spec.name.toLowerCase(), spec]),
)

/** The function of this name, in any letter case. */
export function findFunction(name: string): SqlFunction | undefined {
  return functionTable.get(name.toLowerCase())
}
