import { randomUUID } from 'node:crypto'
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { KinesisCredentials } from '../../consumers/kinesis-access.ts'
import { limitedCall } from '../../consumers/limited-call.ts'
import { nameOf, reasonOf } from '../../consumers/retry-backoff.ts'
import type { LambdaFunction } from './lambda-function.ts'

/** A function runs for 15 minutes at most; the rest is for the network. */
const invokeTimeoutMsDefault = 910_000
const connectionTimeoutMs = 5_000
const regionsMax = 32

/** The functions of an AWS account, with the process's own credentials. */
export interface AwsLambdaFunctions {
  /** @param arn the ARN of the function, which names its region */
  function(arn: string): LambdaFunction
  close(): void
}

interface AwsLambdaFunctionsOptions {
  /** The time limit of an invocation, from connecting to the end of the response. */
  readonly invokeTimeoutMs?: number | undefined
  /** Default: AWS, or the endpoint that the SDK's own environment variables name. */
  readonly endpoint?: string | undefined
  /** Default: the SDK's chain. */
  readonly credentials?: KinesisCredentials | undefined
}

export function createAwsLambdaFunctions(
  clock: Clock,
  options: AwsLambdaFunctionsOptions = {},
): AwsLambdaFunctions {
  const { invokeTimeoutMs: timeoutMs = invokeTimeoutMsDefault } = options
  const clients = new Map<string, LambdaClient>()

  function clientIn(region: string): LambdaClient {
    const existing = clients.get(region)
    if (existing) return existing
    if (clients.size === regionsMax) throw new Error(`more than ${regionsMax} regions`)
    const requestHandler = new NodeHttpHandler({
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      throwOnRequestTimeout: true,
    })
    const client = new LambdaClient({
      region,
      maxAttempts: 1,
      requestHandler,
      ...(options.endpoint !== undefined && { endpoint: options.endpoint }),
      ...(options.credentials !== undefined && { credentials: options.credentials }),
    })
    clients.set(region, client)
    return client
  }

  return {
    function: (arn) => ({
      async invoke(payload, signal) {
        const requestId = randomUUID()
        try {
          const client = clientIn(arn.split(':')[3] ?? '')
          const command = new InvokeCommand({ FunctionName: arn, Payload: Buffer.from(payload) })
          const answer = await limitedCall(clock, { timeoutMs, signal }, (abortSignal) =>
            client.send(command, { abortSignal }),
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
          if (nameOf(thrown) === 'TimeoutError') {
            // The function may have run, so this counts as an attempt.
            const errorMessage = `RequestId: ${requestId} Error: ${messageOf(thrown)}`
            return { kind: 'failed', requestId, errorType: 'Sandbox.Timedout', errorMessage }
          }
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
