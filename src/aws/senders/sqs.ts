import { SQSClient, SendMessageBatchCommand, SendMessageCommand } from '@aws-sdk/client-sqs'
import type { SendMessageCommandInput } from '@aws-sdk/client-sqs'
import { clientOptionsOf, createSend, outcomesOfBatch, taken } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/**
 * Sends messages to one queue: one by SendMessage, several by SendMessageBatch. Both need the same
 * permission, `sqs:SendMessage` [Amazon SQS Developer Guide, "Amazon SQS API permissions"].
 */
export function createSqsSend(options: SenderOptions) {
  // A rule may not choose the host that Sluice calls with the credentials of a role.
  const useQueueUrlAsEndpoint = false
  const client = new SQSClient({ ...clientOptionsOf(options), useQueueUrlAsEndpoint })
  return createSend('SQS', client, options, async (requests, abortSignal) => {
    // The action makes SendMessage only.
    const inputs = requests.map(
      ({ parameters }) => parameters as unknown as SendMessageCommandInput,
    )
    const [first] = inputs
    if (first === undefined) return []
    if (inputs.length === 1) {
      await client.send(new SendMessageCommand(first), { abortSignal })
      return [taken]
    }
    const { QueueUrl } = first
    const Entries = inputs.map(({ MessageBody }, index) => ({ Id: String(index), MessageBody }))
    const command = new SendMessageBatchCommand({ QueueUrl, Entries })
    return outcomesOfBatch('SQS', Entries, await client.send(command, { abortSignal }))
  })
}
