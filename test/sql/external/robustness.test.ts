/**
 * Whatever is called where and however it ends: a result or a failure with a reason, nothing else.
 */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { SluiceError } from '../../../src/base/errors.ts'
import { arbitraryExpression } from '../arbitrary-expression.ts'
import { printExpression } from '../expression-printer.ts'
import { evaluateExternally } from './evaluate-externally.ts'

/** `any(...)` of random expressions stands for one of these. */
const calls = [
  "aws_lambda('f', ",
  'get_or_default(',
  "get_dynamodb('t', 'k', 'v', 'r'",
  "get_thing_shadow('t', 'r'",
] as const

function withCalls(text: string, choices: readonly number[]): string {
  let position = 0
  return text.replaceAll(/any\(([^()]*)/g, (_, values: string) => {
    const call = calls[(choices[position++ % choices.length] ?? 0) % calls.length] ?? calls[0]
    return call.endsWith('(') || call.endsWith(' ') ? `${call}${values}` : call
  })
}

test('statements of random expressions with random answers', async () => {
  let settled = 0
  await fc.assert(
    fc.asyncProperty(
      arbitraryExpression(3),
      arbitraryExpression(2),
      fc.array(fc.nat(), { minLength: 1, maxLength: 5 }),
      fc.array(fc.option(fc.json()), { minLength: 1, maxLength: 5 }),
      async (item, where, choices, given) => {
        const print = (expression: typeof item) =>
          withCalls(printExpression(expression, 'fewest'), choices)
        const sql = `SET @1st = aws_lambda('f', *)
          SELECT ${print(item)} AS v, newuuid() AS id FROM 'a/b' WHERE ${print(where)} OR true`
        let asked = 0
        const answer = () => {
          const json = given[asked++ % given.length]
          if (json === null || json === undefined) throw new Error('no answer')
          return json
        }
        try {
          const outcome = await evaluateExternally(sql, {
            answer,
            payload: '{"a":[1,{"b1":2}],"b1":"x","_c":{"value":true}}',
            templates: ['${@1st}', '${a}'],
          })
          settled += 1
          expect(outcome.failure).not.toBe('')
          expect(outcome.rounds).toBeLessThanOrEqual(outcome.requests.length + 1)
        } catch (thrown) {
          if (!(thrown instanceof SluiceError) || thrown.code !== 'SqlParseException') throw thrown
        }
      },
    ),
    { numRuns: 300 },
  )
  expect(settled).toBeGreaterThan(50)
})
