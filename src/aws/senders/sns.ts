import { PublishBatchCommand, PublishCommand, SNSClient } from '@aws-sdk/client-sns'
import type { PublishCommandInput } from '@aws-sdk/client-sns'
import { clientOptionsOf, createSend, eachAlone, outcomesOfBatch } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/**
 * Publishes to one target: one message by Publish, several by PublishBatch, which needs the same
 * permission. PublishBatch is for topics; a mobile endpoint gets its messages one by one.
 */
export function createSnsSend(options: SenderOptions) {
  const client = new SNSClient(clientOptionsOf(options))
  return createSend('SNS', client, options, async (requests, abortSignal) => {
    const inputs = requests.map(({ parameters }) => parameters as unknown as PublishCommandInput)
    const [{ TopicArn } = {}] = inputs
    if (inputs.length <= 1 || TopicArn === undefined) {
      return eachAlone('SNS', inputs, (input) =>
        client.send(new PublishCommand(input), { abortSignal }),
      )
    }
    const PublishBatchRequestEntries = inputs.map(({ Message, MessageStructure }, index) => ({
      Id: String(index),
      Message,
      ...(MessageStructure !== undefined && { MessageStructure }),
    }))
    const command = new PublishBatchCommand({ TopicArn, PublishBatchRequestEntries })
    const answer = await client.send(command, { abortSignal })
    return outcomesOfBatch('SNS', PublishBatchRequestEntries, answer)
  })
}
