import { unreachable } from '../base/unreachable.ts'
import type { Message } from '../message.ts'
import type { OtherRequestTopic } from '../topics/reserved-request.ts'
import { directAnswer } from './direct-answer.ts'

const reason = 'Sluice does not have this service.'

/**
 * Answers a request to a service that Sluice does not have, so that devices do not wait. Requests
 * in CBOR have no answer.
 *
 * @returns undefined for a service that gives none
 */
export function answerOfAbsentService(
  { service, format }: OtherRequestTopic,
  message: Message,
): Message | undefined {
  if (format === 'cbor') return undefined
  const { topic } = message
  switch (service) {
    case 'streams':
      return directAnswer(message, topic.replace(/\/[^/]+\/json$/, '/rejected/json'), {
        o: 'ResourceNotFound',
        m: reason,
      })
    case 'provisioning':
      return directAnswer(message, `${topic}/rejected`, {
        statusCode: 501,
        errorCode: 'NotImplemented',
        errorMessage: reason,
      })
    case 'location':
      return directAnswer(message, `${topic}/rejected`, { errorCode: 501, errorMessage: reason })
    case 'defender':
      return directAnswer(message, `${topic}/rejected`, {
        statusCode: 501,
        statusDetails: { ErrorCode: 'NotImplemented', ErrorMessage: reason },
      })
    case 'commands':
      return undefined
    default:
      return unreachable(service)
  }
}
