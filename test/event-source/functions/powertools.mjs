import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch'

/** A handler as Powertools has it: what throws is reported, the rest is done. */
const processor = new BatchProcessor(EventType.KinesisDataStreams)
let failures = 2

const recordHandler = async ({ kinesis }) => {
  const text = Buffer.from(kinesis.data, 'base64').toString()
  if (text === '3' && failures-- > 0) throw new Error('not now')
  console.log(`RECORD ${text}`)
}

export const handler = (event, context) =>
  processPartialResponse(event, recordHandler, processor, {
    context,
    throwOnFullBatchFailure: false,
  })
