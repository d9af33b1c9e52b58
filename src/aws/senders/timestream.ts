import {
  RejectedRecordsException,
  TimestreamWriteClient,
  WriteRecordsCommand,
} from '@aws-sdk/client-timestream-write'
import type { _Record as TimestreamRecord } from '@aws-sdk/client-timestream-write'
import { chunksOf } from './chunks.ts'
import { clientOptionsOf, createSend, notTaken, taken, worstOf } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** Amazon Timestream API Reference, WriteRecords. */
const limits = { countMax: 100 }

/**
 * Writes records of one table, a hundred in a call. Timestream takes the records of a call that it
 * does not reject.
 */
export function createTimestreamSend(options: SenderOptions) {
  const client = new TimestreamWriteClient(clientOptionsOf(options))
  return createSend('Timestream', client, options, async (requests, abortSignal) => {
    const outcomes = requests.map(() => taken)
    const { DatabaseName, TableName } = (requests[0]?.parameters ?? {}) as unknown as {
      readonly DatabaseName: string
      readonly TableName: string
    }
    const stored = requests.flatMap(({ parameters }, record) => {
      const { Records } = parameters as unknown as { readonly Records: TimestreamRecord[] }
      return Records.map((entry) => ({ entry, record }))
    })
    for (const chunk of chunksOf(stored, limits)) {
      const Records = chunk.map(({ entry }) => entry)
      const command = new WriteRecordsCommand({ DatabaseName, TableName, Records })
      try {
        await client.send(command, { abortSignal })
      } catch (thrown) {
        if (!(thrown instanceof RejectedRecordsException)) throw thrown
        const { RejectedRecords: rejected = [] } = thrown
        // One that is not named counts as taken, so all of those rejected must be named.
        if (rejected.length === 0) throw thrown
        for (const { RecordIndex = -1, Reason } of rejected) {
          const { record } = chunk[RecordIndex] ?? {}
          if (record === undefined) throw thrown
          const outcome = notTaken('Timestream', 'RejectedRecord', Reason)
          outcomes[record] = worstOf(outcomes[record], outcome)
        }
      }
    }
    return outcomes
  })
}
