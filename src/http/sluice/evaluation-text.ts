import { shownCall } from '../../aws/call/service-call.ts'
import { hashKeyOf } from '../../base/hash-key.ts'
import type { Evaluation } from '../../engine/evaluate-rule.ts'
import type { Message } from '../../message.ts'
import type { NewRecord } from '../../outbox/outbox.ts'
import { mqtt5AsWritten, topicAsWritten } from './message-request.ts'
import type { PredictedShards } from './predicted-shards.ts'

/**
 * The output stands in the answer as the engine wrote it, because JSON.stringify would round
 * numbers.
 */
export async function evaluationText(
  evaluation: Evaluation,
  shards: PredictedShards,
): Promise<string> {
  const { matched, where, output, outputIsJson, templates, failures } = evaluation
  const members = [`"matched":${matched}`]
  if (where) members.push(`"where":${JSON.stringify(where)}`)
  if (evaluation.noMatch) members.push(`"noMatch":${JSON.stringify(evaluation.noMatch)}`)
  if (output && outputIsJson) members.push(`"output":${textOf(output)}`)
  if (output) members.push(`"outputBase64":${JSON.stringify(output.toString('base64'))}`)
  const actions = await Promise.all(
    evaluation.actions.flatMap(({ kind, records, messages }) => [
      ...records.map(async (record) => ({ [kind]: await recordMembers(record, shards) })),
      ...messages.map(async (message) => ({ [kind]: messageMembers(message) })),
    ]),
  )
  const errors = failures.map(({ code, message, where: place }) => ({
    code,
    message,
    where: place,
  }))
  members.push(`"actions":${JSON.stringify(actions)}`)
  members.push(`"templates":${JSON.stringify(templates)}`)
  members.push(`"errors":${JSON.stringify(errors)}`)
  return `{${members.join(',')}}`
}

/** The decoder drops a byte order mark, which a payload may have but a document must not. */
function textOf(output: Buffer): string {
  return new TextDecoder().decode(output)
}

/** What a record asks of its service: the fields of a stream, or the call of another service. */
async function recordMembers(record: NewRecord, shards: PredictedShards) {
  const { destination, partitionKey, explicitHashKey, call, data } = record
  if (destination.kind !== 'kinesis') return shownCall(call ?? '', data)
  const hashKey = explicitHashKey ?? hashKeyOf(partitionKey).toString()
  const known = await shards.of(destination)
  return {
    streamName: destination.streamName,
    partitionKey,
    explicitHashKey,
    hashKey,
    shardId: known?.shardOf(BigInt(hashKey)),
  }
}

function messageMembers(message: Message) {
  const { qos, mqtt5 } = message
  return { topic: topicAsWritten(message), qos, mqtt5: mqtt5 && mqtt5AsWritten(mqtt5) }
}
