import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import type { InvokeCommandInput } from '@aws-sdk/client-lambda'
import { clientOptionsOf, createSend, eachAlone } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/**
 * Invokes one function asynchronously. The record is delivered when Lambda has queued the event:
 * what the function makes of it is Lambda's business.
 */
export function createLambdaSend(options: SenderOptions) {
  const client = new LambdaClient(clientOptionsOf(options))
  return createSend('Lambda', client, options, (requests, abortSignal) =>
    eachAlone('Lambda', requests, ({ parameters }) => {
      const command = new InvokeCommand(parameters as unknown as InvokeCommandInput)
      return client.send(command, { abortSignal })
    }),
  )
}
