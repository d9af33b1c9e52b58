import { FirehoseClient, PutRecordBatchCommand, PutRecordCommand } from '@aws-sdk/client-firehose'
import { chunksOf } from './chunks.ts'
import type { EntryOf } from './chunks.ts'
import { clientOptionsOf, createSend, notTaken, sharedParameter, taken, worstOf } from './sender.ts'
import type { SenderOptions, ServiceRequest } from './sender.ts'

/** Amazon Data Firehose API Reference, PutRecordBatch. */
const limits = {
  countMax: 500,
  bytesMax: 4 * 1_024 * 1_024,
  bytesOf: ({ entry }: EntryOf<Entry>) => entry.Data.length,
}

/**
 * Puts records into one Firehose stream: a single one by PutRecord, which is all that AWS IoT's
 * documentation grants, several by PutRecordBatch. A record of the outbox that holds an array is
 * sent again as a whole when one of its elements was not taken.
 */
export function createFirehoseSend(options: SenderOptions) {
  const client = new FirehoseClient(clientOptionsOf(options))
  return createSend('Firehose', client, options, async (requests, abortSignal) => {
    const DeliveryStreamName = sharedParameter(requests, 'DeliveryStreamName')
    const entries = requests.flatMap((request, record) =>
      entriesOf(request).map((entry) => ({ entry, record })),
    )
    const outcomes = requests.map(() => taken)
    const [first] = entries
    if (requests[0]?.operation === 'PutRecord' && entries.length === 1 && first !== undefined) {
      const command = new PutRecordCommand({ DeliveryStreamName, Record: first.entry })
      await client.send(command, { abortSignal })
      return outcomes
    }
    for (const chunk of chunksOf(entries, limits)) {
      const Records = chunk.map(({ entry }) => entry)
      const command = new PutRecordBatchCommand({ DeliveryStreamName, Records })
      const { RequestResponses: answers = [] } = await client.send(command, { abortSignal })
      for (const [index, { record }] of chunk.entries()) {
        const { RecordId, ErrorCode, ErrorMessage } = answers[index] ?? {}
        const outcome = RecordId ? taken : notTaken('Firehose', ErrorCode, ErrorMessage)
        outcomes[record] = worstOf(outcomes[record], outcome)
      }
    }
    return outcomes
  })
}

interface Entry {
  readonly Data: Buffer
}

function entriesOf({ parameters }: ServiceRequest): readonly Entry[] {
  const { Record: one, Records: several = [one] } = parameters as unknown as {
    readonly Record?: { readonly Data: Buffer | string }
    readonly Records?: readonly { readonly Data: string }[]
  }
  return several.map((entry) => ({ Data: Buffer.from(entry?.Data ?? '') }))
}
