import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import type { Engine } from '../../engine/engine.ts'
import { SluiceError } from '../../base/errors.ts'
import type { Message } from '../../message.ts'
import type { DeadLetter, DeadLetterSelection, Outbox } from '../../outbox/outbox.ts'
import { parseJson, ruleNamePattern } from '../../rules/payload.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import type { HttpApp } from '../server/http-app.ts'
import { actionOf } from './outbox-routes.ts'

/** `/v1/dead-letters`: what could not be delivered is read, sent again in order, or dropped. */
export interface DeadLetterRouteDependencies {
  readonly outbox: Pick<Outbox, 'deadLetters'>
  readonly engine: Pick<Engine, 'replay' | 'distribute'>
}

const idPattern = '^[0-9]{1,16}$'
const idsMax = 1_000
const listQuery = Type.Object({
  ruleName: Type.Optional(Type.String({ pattern: ruleNamePattern })),
  maxResults: Type.Optional(Type.Integer({ minimum: 1, maximum: 250 })),
  nextToken: Type.Optional(Type.String({ pattern: idPattern })),
})
const idParams = Type.Object({ id: Type.String({ pattern: idPattern }) })

/** All dead letters, those of a rule, or these. */
export const replayRequestSchema = Type.Object(
  {
    ids: Type.Optional(Type.Array(Type.String({ pattern: idPattern }), { maxItems: idsMax })),
    ruleName: Type.Optional(Type.String({ pattern: ruleNamePattern })),
    how: Type.Optional(
      Type.Enum(['rule', 'asIs'], {
        description:
          '`rule`, the default: through the rule as it is now. `asIs`: the same record to the same stream.',
      }),
    ),
  },
  { additionalProperties: false },
)
const replayRequest = Compile(replayRequestSchema)

export function addDeadLetterRoutes(
  app: HttpApp,
  { outbox: { deadLetters }, engine }: DeadLetterRouteDependencies,
): void {
  app.get('/v1/dead-letters', { schema: { querystring: listQuery } }, async (request) => {
    const page = deadLetters.list(request.query)
    return { ...page, deadLetters: page.deadLetters.map(shownLetter) }
  })

  app.post('/v1/dead-letters/replay', async (request) => {
    const { how, selection } = readReplay(request.body)
    if (how === 'asIs') return answerOf(await deadLetters.replay(selection, how))
    const republished = new Map<string, readonly Message[]>()
    const result = await deadLetters.replay(
      selection,
      async (letter) => {
        const gathered = await engine.replay(letter)
        if (gathered) republished.set(letter.id, gathered.messages)
        return gathered?.records
      },
      async (ids) => {
        // What came of a dead letter that stays is not sent: it comes again when it is replayed.
        const messages = ids.flatMap((id) => republished.get(id) ?? [])
        republished.clear()
        await engine.distribute(messages)
      },
    )
    return answerOf(result)
  })

  app.delete('/v1/dead-letters/:id', { schema: { params: idParams } }, async (request, reply) => {
    const { id } = request.params
    const { count } = await deadLetters.delete({ ids: [id] })
    if (count > 0) return reply.send()
    throw new SluiceError('ResourceNotFoundException', `there is no dead letter ${id}`)
  })
}

/** Bytes as base64; times in epoch milliseconds. */
function shownLetter({ data, origin, actionIndex, ...letter }: DeadLetter) {
  const { payload, ...sender } = origin
  return {
    ...letter,
    action: actionOf(actionIndex),
    dataBase64: data.toString('base64'),
    origin: { ...sender, payloadBase64: payload.toString('base64') },
  }
}

/**
 * Those that stay are ones that the rule, as it is now, makes nothing of, or for whose records there
 * are too many destinations.
 */
function answerOf({ count, kept }: { readonly count: number; readonly kept: number }) {
  return { replayed: count, kept }
}

function readReplay(body: unknown): {
  readonly how: 'rule' | 'asIs'
  readonly selection: DeadLetterSelection
} {
  const json = parseJson(body instanceof Uint8Array ? body : new Uint8Array())
  if (!replayRequest.Check(json)) throw schemaProblem(replayRequest.Errors(json))
  const { ids, ruleName, how = 'rule' } = json
  if (ids === undefined) {
    return { how, selection: ruleName === undefined ? {} : { ruleName } }
  }
  if (ruleName === undefined) return { how, selection: { ids } }
  throw new SluiceError('InvalidRequestException', 'ids and ruleName are given: give one of them')
}
