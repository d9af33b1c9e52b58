import type { NatsConnection } from '@nats-io/transport-node'
import { messageOf } from '../../base/errors.ts'
import { isWithoutResponder } from '../nats/nats-problem.ts'
import { NoAnswerError } from './node-requests.ts'
import type { NodeAnswer, NodeRequest, NodeRequests } from './node-requests.ts'

/**
 * Requests between nodes as requests of NATS, on the subject `sluice.<cluster>.ask.<node>`, which
 * belongs to no stream.
 *
 * @param cluster letters, digits, `-` and `_`
 */
export function createNatsNodeRequests(
  connection: Pick<NatsConnection, 'request' | 'subscribe'>,
  cluster: string,
): NodeRequests {
  const subjectOf = (node: string) => `sluice.${cluster}.ask.${node}`
  return {
    async ask(node, request, waitMs) {
      try {
        const text = JSON.stringify(request)
        const reply = await connection.request(subjectOf(node), text, { timeout: waitMs })
        return reply.json<NodeAnswer>()
      } catch (thrown) {
        const isUnheard = isWithoutResponder(thrown)
        throw new NoAnswerError(messageOf(thrown), { cause: thrown, isUnheard })
      }
    },
    serve(node, answer) {
      const subscription = connection.subscribe(subjectOf(node), {
        callback(_error, message) {
          void (async () => {
            const request = requestIn(message.string())
            if (request === undefined) return
            const text = JSON.stringify(await answer(request))
            // Who asked may have gone meanwhile, and so may the connection.
            try {
              message.respond(text)
            } catch {
              return
            }
          })()
        },
      })
      return () => subscription.unsubscribe()
    },
  }
}

/** @returns undefined when it is none, or of a later release: who asked waits in vain */
function requestIn(text: string): NodeRequest | undefined {
  try {
    const request = JSON.parse(text) as NodeRequest
    return ['replay', 'delete', 'deliveries'].includes(request.ask) ? request : undefined
  } catch {
    return undefined
  }
}
