import { ServerError, awsErrorOf, createSignedHttp, jsonOf } from '../call/signed-http.ts'
import type { HttpAnswer } from '../call/signed-http.ts'
import type { Service } from '../call/service-failures.ts'
import { createSend, eachAlone } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** AWS IoT Events API Reference, BatchPutMessage. */
export function createIotEventsSend(options: SenderOptions) {
  return createMessagesSend(options, {
    service: 'IoT Events',
    signingName: 'ioteventsdata',
    path: '/inputs/messages',
    errors: 'BatchPutMessageErrorEntries',
  })
}

/** AWS IoT Analytics API Reference, BatchPutMessage. */
export function createIotAnalyticsSend(options: SenderOptions) {
  return createMessagesSend(options, {
    service: 'IoT Analytics',
    signingName: 'iotanalytics',
    path: '/messages/batch',
    errors: 'batchPutMessageErrorEntries',
  })
}

interface MessageService {
  readonly service: Service
  readonly signingName: string
  readonly path: string
  /** The member of the answer that holds what was not taken. */
  readonly errors: string
}

/**
 * Sends the messages of each record in one call. AWS has ended these services and makes no clients
 * for them any more, so the endpoint is that of the operator's own server. A record of several
 * messages is sent again as a whole when one of them was not taken: their ids stay the same.
 */
function createMessagesSend(
  options: SenderOptions,
  { service, signingName, path, errors: member }: MessageService,
) {
  const http = createSignedHttp(options, signingName)
  return createSend(service, http.client, options, (requests, signal) =>
    eachAlone(service, requests, async ({ parameters }) => {
      const body = Buffer.from(JSON.stringify(withBase64(parameters as unknown as PutMessages)))
      const answer = await http.send(
        {
          method: 'POST',
          server: new URL(options.endpoint ?? ''),
          path,
          headers: { 'content-type': 'application/json' },
          body,
        },
        signal,
      )
      const { [member]: errors = [] } = takenAnswer(answer)
      const [error] = errors as readonly MessageError[]
      if (error === undefined) return
      const { errorCode = 'InternalFailure', errorMessage = errorCode } = error
      throw new ServerError(errorCode, errorMessage, { status: 200 })
    }),
  )
}

interface MessageError {
  readonly errorCode?: string | undefined
  readonly errorMessage?: string | undefined
}

interface PutMessages {
  readonly messages: readonly { readonly payload: string }[]
}

/** The stored call has the payload as text, and the service takes bytes. */
function withBase64({ messages, ...parameters }: PutMessages) {
  const encoded = messages.map(({ payload, ...message }) => {
    return { ...message, payload: Buffer.from(payload).toString('base64') }
  })
  return { ...parameters, messages: encoded }
}

/** @throws ServerError when the answer is not that of a service that took the call */
function takenAnswer(answer: HttpAnswer): Record<string, unknown> {
  const json = answer.text === '' ? {} : jsonOf(answer)
  if (answer.status < 300 && json !== undefined) return json
  throw awsErrorOf(answer) ?? new ServerError(`Http${answer.status}`, 'not an answer', answer)
}
