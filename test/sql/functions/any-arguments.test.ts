/** Whatever a function is given, it gives a value: nothing throws and no text is without bound. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileStatement, createDocument } from '../../../src/sql/sql.ts'
import { collectionFunctions } from '../../../src/sql/functions/collections.ts'
import { encodeFunctions } from '../../../src/sql/functions/encode.ts'
import { hashFunctions } from '../../../src/sql/functions/hash.ts'
import { mathFunctions } from '../../../src/sql/functions/math.ts'
import { messageFunctions } from '../../../src/sql/functions/message.ts'
import { stringFunctions } from '../../../src/sql/functions/string.ts'
import { readJson } from '../../../src/sql/values/json-reader.ts'
import { jsonText } from '../../helpers/json-text.ts'
import { numberFromText } from '../../../src/sql/values/numbers.ts'
import type { Value } from '../../../src/sql/values/values.ts'

const dialects = [
  { version: '2015-10-08', isSecondVersion: false, wholeDecimalsAreInts: false },
  { version: '2016-03-23', isSecondVersion: true, wholeDecimalsAreInts: true },
] as const

const document = createDocument(
  {
    topic: 'a/b',
    payload: Buffer.from('{"a":1}'),
    timestampMs: 0,
    mqtt5: { userProperties: [['a', 'b']] },
  },
  { accountId: '123456789012', newUuid: () => crypto.randomUUID() },
)

const statement = compileStatement("SELECT * FROM 'a/b'", '2016-03-23')

const numberText = fc.oneof(
  fc.constantFrom('-0', '-0.0', '1E999', '-1E400', '1E1000', '1E-1000', '1E99999999999999999999'),
  fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }).map(String),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((double) => String(double).replace('+', '')),
  fc
    .tuple(fc.bigInt({ min: 0n, max: 10n ** 40n }), fc.integer({ min: -1100, max: 1100 }))
    .map(([digits, exponent]) => `${digits}E${exponent}`),
)

const value: fc.Arbitrary<Value> = fc.oneof(
  numberText.map(numberFromText),
  numberText,
  fc.constantFrom(
    undefined,
    null,
    true,
    false,
    '',
    'base64',
    'enrichArray',
    'YQ==',
    'content_type',
  ),
  fc.string({ unit: 'binary', maxLength: 10 }),
  fc.json({ maxDepth: 2 }).map(readJson),
)

const functions = [
  ...collectionFunctions,
  ...encodeFunctions,
  ...hashFunctions,
  ...mathFunctions,
  ...messageFunctions,
  ...stringFunctions,
]

test.for(functions)('$name', ({ arity: [fewest, most], implementation, payloadImplementation }) => {
  const values = fc.array(value, { minLength: fewest, maxLength: Math.min(most, 4) })
  fc.assert(
    fc.property(values, fc.constantFrom(...dialects), (given, dialect) => {
      for (const apply of [implementation, payloadImplementation]) {
        const result = apply?.(given, statement.openScope(document), dialect)
        const text = jsonText(result, dialect)
        // `replace` may put one text before each character of another one.
        expect(text.length).toBeLessThan(1_000_000)
        // What is not Undefined is JSON, so the output of a rule is.
        expect(readJson(text) === undefined).toBe(result === undefined)
      }
    }),
    { numRuns: 200 },
  )
})
