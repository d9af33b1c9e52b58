/** Digests of a text's UTF-8 bytes, as lower-case hexadecimal digits. */
import { createHash } from 'node:crypto'
import { toText } from '../values/conversions.ts'
import type { SqlFunction } from './function.ts'
import { md2 } from './md2.ts'

export const hashFunctions: readonly SqlFunction[] = [
  hashFunction('md2', (text) => md2(Buffer.from(text)).toString('hex')),
  ...['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'].map((name) =>
    hashFunction(name, (text) => createHash(name).update(text, 'utf8').digest('hex')),
  ),
]

function hashFunction(name: string, digest: (text: string) => string): SqlFunction {
  return {
    name,
    sinceVersion: '2015-10-08',
    arity: [1, 1],
    implementation: ([value], _, dialect) => {
      const text = toText(value, dialect)
      return text === undefined ? undefined : digest(text)
    },
  }
}
