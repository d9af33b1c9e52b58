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

/**
 * Written entry by entry into one buffer: a text of all of them would be as large as the body, and
 * garbage of that size stays until the old generation is collected.
 *
 * @param stream the other members: one of them at least, and none but texts
 */
function bodyOf(stream: object, entries: readonly PutRecordsRequestEntry[]): Buffer {
  const parts = [`${JSON.stringify(stream).slice(0, -1)},"Records":[`]
  for (const [index, entry] of entries.entries()) parts.push(textOf(entry, index > 0 ? ',' : ''))
  parts.push(']}')
  const body = Buffer.allocUnsafe(parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0))
  let end = 0
  for (const part of parts) end += body.write(part, end)
  return body
}

function textOf(entry: PutRecordsRequestEntry, separator: string): string {
  const { Data, PartitionKey, ExplicitHashKey } = entry
  const data = Buffer.isBuffer(Data) ? Data : Buffer.from(Data ?? [])
  const hashKey = ExplicitHashKey === undefined ? '' : `,"ExplicitHashKey":"${ExplicitHashKey}"`
  const key = JSON.stringify(PartitionKey)
  return `${separator}{"Data":"${data.toString('base64')}"${hashKey},"PartitionKey":${key}}`
}
