import type { HttpServerDependencies } from '../../src/http/http-server.ts'
import { SluiceError } from '../../src/base/errors.ts'
import type { ErrorCode } from '../../src/base/errors.ts'
import type { StartedServer } from './http-fixtures.ts'

/** How to get an error that an operation declares. */
export type Call = (server: StartedServer) => Promise<unknown>
export interface Provocation {
  readonly call: Call
  readonly dependencies?: (server: HttpServerDependencies) => Partial<HttpServerDependencies>
  /** It leaves nothing behind, so that it needs no server of its own. */
  readonly isStateless?: true
  /** Instead of any other fault: the calls of this second are used up. */
  readonly isThrottled?: true
}
export type Provocations = Readonly<
  Record<string, Readonly<Partial<Record<ErrorCode, Provocation>>>>
>

/** An answer that is an error, in the form that AWS's clients throw. */
export const http =
  (method: string, path: string, body?: unknown): Call =>
  async ({ url }) => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await fetch(`${url}${path}`, { method, ...init })
    await answer.arrayBuffer()
    throw Object.assign(new Error('answered'), {
      name: answer.headers.get('x-amzn-errortype') ?? 'none',
      $metadata: { httpStatusCode: answer.status },
    })
  }

export const reject = (failure: Error) => async (): Promise<never> => {
  throw failure
}
export const fault = new Error('a fault')
export const fails = (): never => {
  throw fault
}
/** What the outbox says when the disk takes no more. */
export const unwritten = new SluiceError('OutboxWriteFailed', 'the disk is full')
