/** Digests of the UTF-8 bytes of a text, in lower-case hexadecimal. */
import { createHash } from 'node:crypto'
import { toText } from '../values/conversions.ts'
import { spend } from '../values/work.ts'
import type { SqlFunction } from './function.ts'
import { md2 } from './md2.ts'

/** The steps of each call, and per character of the text. */
const hashSteps = { call: 40, character: 1 / 8 }
/** The steps of `md2`, which is slower because it is written in JavaScript. */
const md2Steps = { call: 60, character: 6 }

export const hashFunctions: readonly SqlFunction[] = [
  hashFunction('md2', (text) => md2(Buffer.from(text)).toString('hex'), md2Steps),
  ...['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'].map((name) =>
    hashFunction(name, (text) => createHash(name).update(text, 'utf8').digest('hex'), hashSteps),
  ),
]

function hashFunction(
  name: string,
  digest: (text: string) => string,
  steps: { readonly call: number; readonly character: number },
): SqlFunction {
  return {
    name,
    sinceVersion: '2015-10-08',
    arity: [1, 1],
    steps: steps.call,
    implementation: ([value], { state }, dialect) => {
      const text = toText(value, dialect, state)
      if (text === undefined) return undefined
      spend(state, Math.ceil(text.length * steps.character))
      return digest(text)
    },
  }
}
