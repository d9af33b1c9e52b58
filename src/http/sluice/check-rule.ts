import type { FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import type { Clock } from '../../base/clock.ts'
import { defined } from '../../base/defined.ts'
import { SluiceError, faultsIn } from '../../base/errors.ts'
import type { CompileRule } from '../../rules/compile-rule.ts'
import { readPayloadText, topicRulePayloadSchema } from '../../rules/payload.ts'
import { payloadBodyBytesMax } from '../aws-iot/rule-routes.ts'
import { bodyBytes } from '../server/body-bytes.ts'
import type { HttpApp } from '../server/http-app.ts'
import { unnamedRule } from './evaluate.ts'
import { readErrors } from './sluice-api.ts'

/**
 * `POST /v1/check`: everything that is wrong with a rule, and where, for people who write rules.
 * Nothing runs: no external function is called and no role is assumed.
 */
export interface CheckRuleDependencies {
  readonly compile: CompileRule
  readonly clock: Clock
}

const faultSchema = Type.Object({
  code: Type.String({ description: 'The code of the error that refuses such a rule.' }),
  message: Type.String({ description: 'What is wrong; in a text also the line, with a caret.' }),
  field: Type.Optional(
    Type.String({ description: 'Where it stands: `sql`, `actions[0].kinesis.streamName`.' }),
  ),
  line: Type.Optional(Type.Integer({ description: 'The line in that field, from 1.' })),
  column: Type.Optional(
    Type.Integer({ description: 'The place in that line in UTF-16 units, from 1.' }),
  ),
})

const checkRule = {
  operation: {
    id: 'CheckRule',
    summary: 'Says what is wrong with a rule; nothing is stored and nothing runs.',
    description:
      'The body is the payload itself; `{"topicRulePayload": {...}}` is taken as well. ' +
      'A rule with faults is answered with 200 and all of them.',
    body: { schema: topicRulePayloadSchema },
    answer: {
      description: 'No faults: CreateTopicRule takes such a rule when its roles can be assumed.',
      schema: Type.Object({
        faults: Type.Array(faultSchema),
        warnings: Type.Array(
          Type.String({ description: 'What AWS IoT accepts but you may not mean.' }),
        ),
      }),
    },
    errors: readErrors,
  },
} satisfies FastifySchema

export function addCheckRoute(app: HttpApp, { compile, clock }: CheckRuleDependencies): void {
  const bodyLimit = payloadBodyBytesMax
  app.post('/v1/check', { schema: checkRule, bodyLimit }, async (request) => {
    const read = readPayloadText(bodyBytes(request))
    const createdAt = Math.floor(clock.wallMs() / 1_000)
    try {
      const { warnings } = compile({ name: unnamedRule, ...read, createdAt, tags: {} })
      return { faults: [], warnings: [...warnings] }
    } catch (thrown) {
      if (!(thrown instanceof SluiceError)) throw thrown
      return { faults: faultsIn(thrown).map(faultOf), warnings: [] }
    }
  })
}

function faultOf({ code, message, field, details }: SluiceError): Static<typeof faultSchema> {
  const { line, column } = details
  return { code, message, ...defined({ field, line: numberIn(line), column: numberIn(column) }) }
}

const numberIn = (detail: string | number | undefined): number | undefined =>
  typeof detail === 'number' ? detail : undefined
