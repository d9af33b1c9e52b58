import { SluiceError, messageOf } from '../errors.ts'
import type { NewRecord } from '../outbox/outbox.ts'
import type { CompiledStatement } from '../sql/sql.ts'
import { compileTemplate } from '../templates/template.ts'
import type { CompiledTemplate } from '../templates/template.ts'
import type { ActionContext, ActionFailure, CompiledAction } from './action.ts'

/** AWS IoT's KinesisAction. `streamName` and `partitionKey` take templates, `roleArn` does not. */
export interface KinesisActionDefinition {
  readonly roleArn: string
  readonly streamName: string
  readonly partitionKey?: string
}

/** Kinesis API Reference, PutRecord: StreamName, PartitionKey and the size of a record. */
const streamNamePattern = /^[a-zA-Z0-9_.-]{1,128}$/
const partitionKeyCharactersMax = 256
const recordBytesMax = 1_048_576

/**
 * The Kinesis action of a rule: one record per message.
 *
 * @throws SluiceError SqlParseException for a template, InvalidRequestException for a constant
 *   stream name that Kinesis would refuse; both name the field
 */
export function compileKinesisAction(
  definition: KinesisActionDefinition,
  statement: CompiledStatement,
  context: ActionContext,
): CompiledAction {
  const field = (name: string) => `actions[${context.index}].kinesis.${name}`
  const template = (name: 'streamName' | 'partitionKey', text: string) =>
    compileField(text, statement, field(name))
  const streamName = template('streamName', definition.streamName)
  const partitionKey =
    definition.partitionKey === undefined
      ? undefined
      : template('partitionKey', definition.partitionKey)

  if (streamName.constant !== undefined) {
    const problem = streamNameProblem(streamName.constant)
    if (problem) {
      throw new SluiceError('InvalidRequestException', `${field('streamName')}: ${problem}`)
    }
  }

  return {
    kind: 'kinesis',
    constantStreamNames: streamName.constant === undefined ? [] : [streamName.constant],
    apply(scope, output) {
      const stream = streamName.expand(scope)
      const key = partitionKey?.expand(scope) ?? scope.document.environment.newUuid()
      const problem =
        failure('TemplateFailed', field('streamName'), streamNameProblem(stream)) ??
        failure('TemplateFailed', field('partitionKey'), partitionKeyProblem(key)) ??
        failure('ActionFailed', `actions[${context.index}].kinesis`, recordProblem(output, key))
      if (problem) return { ok: false, failure: problem }
      const record: NewRecord = {
        destination: {
          region: context.region,
          streamName: stream,
          roleArn: definition.roleArn,
        },
        partitionKey: key,
        data: output,
        ruleName: context.ruleName,
        actionIndex: context.index,
      }
      return { ok: true, records: [record] }
    },
  }
}

function compileField(text: string, statement: CompiledStatement, field: string): CompiledTemplate {
  try {
    return compileTemplate(text, statement)
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    throw new SluiceError(thrown.code, `${field}: ${messageOf(thrown)}`, {
      cause: thrown,
      details: thrown.details,
    })
  }
}

function failure(
  code: ActionFailure['code'],
  where: string,
  problem: string | undefined,
): ActionFailure | undefined {
  return problem === undefined ? undefined : { code, message: problem, where }
}

function streamNameProblem(name: string): string | undefined {
  if (streamNamePattern.test(name)) return undefined
  return `"${shorten(name)}" is not a stream name: 1 to 128 letters, digits, ".", "_" or "-"`
}

/** Kinesis counts Unicode characters, not UTF-16 units. */
function partitionKeyProblem(key: string): string | undefined {
  if (key === '') return 'the partition key is empty'
  if (key.length <= partitionKeyCharactersMax) return undefined
  const characters = [...key].length
  if (characters <= partitionKeyCharactersMax) return undefined
  return `the partition key has ${characters} characters; Kinesis takes ${partitionKeyCharactersMax}`
}

function recordProblem(data: Buffer, key: string): string | undefined {
  const bytes = data.length + Buffer.byteLength(key)
  if (bytes <= recordBytesMax) return undefined
  return `the record has ${bytes} bytes with its partition key; Kinesis takes ${recordBytesMax}`
}

function shorten(text: string): string {
  return text.length <= 140 ? text : `${text.slice(0, 140)}...`
}
