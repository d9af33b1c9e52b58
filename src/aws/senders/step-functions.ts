import { SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn'
import type { StartExecutionCommandInput } from '@aws-sdk/client-sfn'
import { clientOptionsOf, createSend, eachAlone } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** Starts executions of one state machine. */
export function createStepFunctionsSend(options: SenderOptions) {
  const client = new SFNClient(clientOptionsOf(options))
  return createSend('Step Functions', client, options, (requests, abortSignal) =>
    eachAlone('Step Functions', requests, async ({ parameters }) => {
      const command = new StartExecutionCommand(parameters as unknown as StartExecutionCommandInput)
      try {
        await client.send(command, { abortSignal })
      } catch (thrown) {
        // The name holds a UUID, so an earlier call for the same record started it.
        if (!(thrown instanceof Error) || thrown.name !== 'ExecutionAlreadyExists') throw thrown
      }
    }),
  )
}
