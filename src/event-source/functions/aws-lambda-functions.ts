import { randomUUID } from 'node:crypto'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { reasonOf } from '../../consumers/retry-backoff.ts'
import type { LambdaFunction } from './lambda-function.ts'

/** A function runs for 15 minutes at most. */
const requestTimeoutMs = 910_000
const connectionTimeoutMs = 5_000
const regionsMax = 32

/** The functions of an AWS account, with the process's own credentials. */
export interface AwsLambdaFunctions {
  /** @param arn the ARN of the function, which names its region */
  function(arn: string): LambdaFunction
  close(): void
}

export function createAwsLambdaFunctions(): AwsLambdaFunctions {
  const clients = new Map<string, LambdaClient>()

  function clientIn(region: string): LambdaClient {
    const existing = clients.get(region)
    if (existing) return existing
    if (clients.size === regionsMax) throw new Error(`more than ${regionsMax} regions`)
    const requestHandler = new NodeHttpHandler({
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
    })
    const client = new LambdaClient({ region, maxAttempts: 1, requestHandler })
    clients.set(region, client)
    return client
  }

  return {
    function: (arn) => ({
      async invoke(payload, signal) {
        const requestId = randomUUID()
        try {
          const answer = await clientIn(arn.split(':')[3] ?? '').send(
            new InvokeCommand({ FunctionName: arn, Payload: Buffer.from(payload) }),
            { abortSignal: signal },
          )
          const text = Buffer.from(answer.Payload ?? []).toString()
          const id = answer.$metadata.requestId ?? requestId
          if (answer.FunctionError === undefined) {
            return { kind: 'returned', requestId: id, payload: text }
          }
          return {
            kind: 'failed',
            requestId: id,
            errorType: answer.FunctionError,
            errorMessage: text,
          }
        } catch (thrown) {
          if (!isOfPayload(thrown)) {
            return { kind: 'notInvoked', requestId, reason: reasonOf(thrown) }
          }
          // The service would refuse this payload at every attempt.
          const { name: errorType, message: errorMessage } = thrown
          return { kind: 'failed', requestId, errorType, errorMessage }
        }
      },
    }),
    close() {
      for (const client of clients.values()) client.destroy()
    },
  }
}

const namesOfPayload: ReadonlySet<string> = new Set([
  'RequestTooLargeException',
  'RequestEntityTooLargeException',
  'InvalidRequestContentException',
])

const isOfPayload = (thrown: unknown): thrown is Error =>
  thrown instanceof Error && namesOfPayload.has(thrown.name)
