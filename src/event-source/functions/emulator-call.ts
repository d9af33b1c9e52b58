import http from 'node:http'
import https from 'node:https'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'

/** How a call of an emulator ended. */
export type EmulatorAnswer =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** Whether the answer has the header that Lambda sends with a function's error. */
      readonly hasErrorHeader: boolean
      readonly text: string
    }
  /** The emulator had taken the call, and the connection ended: what it runs has ended with it. */
  | { readonly kind: 'cut'; readonly reason: string }
  | { readonly kind: 'tooLong' }
  | { readonly kind: 'notTaken'; readonly reason: string }

interface EmulatorCall {
  readonly url: URL
  /** JSON text. */
  readonly body: string
  readonly requestId: string
  readonly signal: AbortSignal
}

/** The limit of a synchronous response (Lambda quotas: 6 MB). */
const answerBytesMax = 6 * 1024 * 1024 + 100
/** A server that does not answer `Expect: 100-continue` gets the body after so long. */
const continueTimeoutMs = 200

/**
 * Calls an emulator once, on a connection of its own.
 *
 * The body is sent when the server asks for it (RFC 9110, 10.1.1). So a call that a container took
 * and did not survive is told from one that nobody took: the port of a container may be open, by
 * Docker's proxy, before the container listens.
 *
 * @returns the answer, or why there is none; never rejects
 */
export function callEmulator(clock: Clock, call: EmulatorCall): Promise<EmulatorAnswer> {
  const { url, body, requestId, signal } = call
  return new Promise((resolve) => {
    let isTaken = false
    let cancel: (() => void) | undefined
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      method: 'POST',
      agent: false,
      signal,
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'lambda-runtime-aws-request-id': requestId,
        expect: '100-continue',
      },
    })
    const finish = (answer: EmulatorAnswer) => {
      cancel?.()
      request.destroy()
      resolve(answer)
    }
    const fail = (thrown: unknown) => {
      const reason = messageOf(thrown)
      finish(isTaken ? { kind: 'cut', reason } : { kind: 'notTaken', reason })
    }
    const sendBody = () => {
      cancel?.()
      if (isTaken) return
      isTaken = true
      request.end(body)
    }
    request.once('socket', (socket) => {
      const connected = url.protocol === 'https:' ? 'secureConnect' : 'connect'
      socket.once(connected, () => {
        cancel = clock.after(continueTimeoutMs, sendBody)
      })
    })
    request.once('continue', sendBody)
    request.on('error', fail)
    request.once('response', (response) => {
      cancel?.()
      isTaken = true
      readAnswer(response).then(finish, fail)
    })
    request.flushHeaders()
  })
}

/** Rejects when the connection ends before the answer does. */
async function readAnswer(response: http.IncomingMessage): Promise<EmulatorAnswer> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > answerBytesMax) return { kind: 'tooLong' }
    chunks.push(chunk)
  }
  return {
    kind: 'answered',
    status: response.statusCode ?? 0,
    hasErrorHeader: response.headers['x-amz-function-error'] !== undefined,
    text: Buffer.concat(chunks).toString('utf8'),
  }
}
