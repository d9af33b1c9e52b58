import type { PutRecordsCommandInput, PutRecordsRequestEntry } from '@aws-sdk/client-kinesis'
import { AwsJson1_1Protocol } from '@aws-sdk/core/protocols'
import { collectBody } from '@smithy/core/protocols'

type Protocol = Pick<AwsJson1_1Protocol, 'serializeRequest' | 'deserializeResponse'>

/**
 * The protocol of the Kinesis client, AWS JSON 1.1, that writes the entries of PutRecords and reads
 * their results by their known members. The client's own way, which looks each member up in a
 * schema, takes as long for a record as all else that the producer does for it. Other operations
 * and all errors are the client's own.
 */
export class PutRecordsProtocol extends AwsJson1_1Protocol {
  override async serializeRequest(
    operation: Parameters<Protocol['serializeRequest']>[0],
    input: object,
    context: Parameters<Protocol['serializeRequest']>[2],
  ): ReturnType<Protocol['serializeRequest']> {
    if (operation.name !== 'PutRecords') return super.serializeRequest(operation, input, context)
    const { Records: entries = [], ...stream } = input as PutRecordsCommandInput
    const request = await super.serializeRequest(operation, stream, context)
    request.body = bodyOf(stream, entries)
    return request
  }

  override async deserializeResponse<Output extends { $metadata: object }>(
    operation: Parameters<Protocol['deserializeResponse']>[0],
    context: Parameters<Protocol['deserializeResponse']>[1],
    response: Parameters<Protocol['deserializeResponse']>[2],
  ): Promise<Output> {
    if (operation.name !== 'PutRecords' || this.isErrorResponse(response.statusCode)) {
      return super.deserializeResponse(operation, context, response)
    }
    const bytes: Uint8Array = await collectBody(response.body, context)
    const answer: object = JSON.parse(Buffer.from(bytes).toString('utf8'))
    return { ...answer, $metadata: this.deserializeMetadata(response) } as Output
  }
}

/** @param stream the other members: one of them at least, and none but texts */
function bodyOf(stream: object, entries: readonly PutRecordsRequestEntry[]): Buffer {
  let text = `${JSON.stringify(stream).slice(0, -1)},"Records":[`
  let separator = ''
  for (const { Data, PartitionKey, ExplicitHashKey } of entries) {
    const data = Buffer.isBuffer(Data) ? Data : Buffer.from(Data ?? [])
    text += `${separator}{"Data":"${data.toString('base64')}"`
    if (ExplicitHashKey !== undefined) text += `,"ExplicitHashKey":"${ExplicitHashKey}"`
    text += `,"PartitionKey":${JSON.stringify(PartitionKey)}}`
    separator = ','
  }
  return Buffer.from(`${text}]}`)
}
