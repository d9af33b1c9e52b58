/**
 * A sample function: prints each record of a batch. It is what `sluice lab` invokes for the stream
 * hot-devices until you change it, or its event source mapping; a change counts from the next
 * invocation on.
 */
export const handler = async (event) => {
  for (const { eventID, kinesis } of event.Records) {
    const [shardId] = eventID.split(':')
    const text = Buffer.from(kinesis.data, 'base64').toString()
    console.log(`${shardId}  ${kinesis.partitionKey}  ${text}`)
  }
}
