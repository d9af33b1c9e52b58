import { Type } from 'typebox'
import { createBoundedMap } from '../../base/bounded-map.ts'
import { invalidField, orFault, shorten } from '../../base/errors.ts'
import type { SluiceError } from '../../base/errors.ts'
import type { NewRecord, StreamDestination } from '../../outbox/outbox.ts'
import type { CompiledStatement } from '../../sql/sql.ts'
import type { CompiledTemplate } from '../../sql/template.ts'
import { fieldOfAction } from '../action/action.ts'
import type { ActionContext, ActionFailure, CompiledAction } from '../action/action.ts'
import { closed, optionalTextType, roleArnType, textType } from '../action/field-types.ts'
import { compileField, noTemplate } from '../action/compile-field.ts'
import { warnOfTopics } from '../action/warn-of-topics.ts'

/** AWS IoT API Reference, KinesisAction. */
export const kinesisActionSchema = Type.Object(
  { roleArn: roleArnType, streamName: textType, partitionKey: optionalTextType },
  closed,
)

/** AWS IoT's KinesisAction. `streamName` and `partitionKey` take templates, `roleArn` does not. */
export interface KinesisActionDefinition {
  readonly roleArn: string
  /** Beyond AWS: also the ARN of a stream, e.g. of another account. */
  readonly streamName: string
  readonly partitionKey?: string | undefined
}

/** Kinesis API Reference, PutRecord: PartitionKey, ExplicitHashKey. */
const partitionKeyCharactersMax = 256
/** Half of a surrogate pair, which JSON can hold and UTF-8 cannot. */
const loneSurrogates = /\p{Surrogate}/gu
const hashKeyDigits = /^(?:0|[1-9][0-9]{0,38})$/
const hashKeyEnd = 2n ** 128n
/** The highest limit that a stream can be set to. The producer learns the limit of this stream. */
const recordBytesMax = 10_485_760

/** Characters that a message shows of a text from outside. */
const shownCharactersMax = 140

/**
 * The Kinesis action of a rule: one record per message.
 *
 * The faults of the context get a SqlParseException for a template, an InvalidRequestException for
 * a constant that Kinesis would refuse; both name the field.
 */
export function compileKinesisAction(
  definition: KinesisActionDefinition,
  statement: CompiledStatement,
  context: ActionContext,
): CompiledAction {
  const { ruleName, index: actionIndex, delivery, faults } = context
  const place = fieldOfAction(actionIndex)
  const fields = {
    stream:
      delivery.streamArn === undefined
        ? `${place}.kinesis.streamName`
        : `${place}.delivery.streamArn`,
    partitionKey: `${place}.kinesis.partitionKey`,
    explicitHashKey: `${place}.delivery.explicitHashKey`,
  }
  const optional = (text: string | undefined, field: string) =>
    text === undefined ? undefined : orFault(faults, () => compileField(text, statement, field))
  const stream = optional(delivery.streamArn ?? definition.streamName, fields.stream) ?? noTemplate
  const partitionKey = optional(definition.partitionKey, fields.partitionKey)
  const explicitHashKey = optional(delivery.explicitHashKey, fields.explicitHashKey)
  const target = createStreamTarget(definition.roleArn, context)
  const constant = stream.constant === undefined ? undefined : target.destinationOf(stream.constant)
  refuse(faults, fields.stream, typeof constant === 'string' ? constant : undefined)
  refuse(faults, fields.explicitHashKey, hashKeyProblem(explicitHashKey?.constant))
  warnOfTopics(statement, stream, fields.stream, target.problemOf)
  warnOfHashKey(statement, explicitHashKey, fields.explicitHashKey)
  warnOfKey(statement, partitionKey, fields.partitionKey)

  return {
    kind: 'kinesis',
    constantStreams: typeof constant === 'object' ? [constant] : [],
    apply(scope, output, source) {
      const streamText = stream.expand(scope)
      const destination = target.destinationOf(streamText)
      const key = wellFormed(partitionKey?.expand(scope)) ?? scope.document.environment.newUuid()
      const hashKey = explicitHashKey?.expand(scope)
      if (typeof destination === 'string') {
        const failure = { message: destination, where: fields.stream, resource: streamText }
        return { ok: false, failure: { code: 'TemplateFailed', ...failure } }
      }
      const failure =
        failureFor('TemplateFailed', fields.partitionKey, streamText, keyProblem(key)) ??
        failureFor('TemplateFailed', fields.explicitHashKey, streamText, hashKeyProblem(hashKey)) ??
        failureFor('ActionFailed', `${place}.kinesis`, streamText, recordProblem(output, key))
      if (failure) return { ok: false, failure }
      const record: NewRecord = {
        destination,
        partitionKey: key,
        explicitHashKey: hashKey,
        data: output,
        ruleName,
        actionIndex,
        source,
      }
      return { ok: true, records: [record], messages: [] }
    },
  }
}

function warnOfHashKey(
  statement: CompiledStatement,
  hashKey: CompiledTemplate | undefined,
  field: string,
): void {
  if (hashKey) warnOfTopics(statement, hashKey, field, hashKeyProblem)
}

/** AWS takes a rule with an empty key, and Kinesis none of its records. */
function warnOfKey(
  statement: CompiledStatement,
  key: CompiledTemplate | undefined,
  field: string,
): void {
  if (key === undefined) return
  warnOfTopics(statement, key, field, keyProblem)
  const problem = key.constant === undefined ? undefined : keyProblem(key.constant)
  if (problem !== undefined)
    statement.warn(`${field}: ${problem}, so that the action delivers nothing`)
}

function refuse(faults: SluiceError[], field: string, problem: string | undefined): void {
  if (problem !== undefined) faults.push(invalidField(field, `: ${problem}`))
}

/**
 * The key as it is read back from disk. With a lone surrogate it would be another key after a
 * restart, and records of one key could change places.
 */
function wellFormed(key: string | undefined): string | undefined {
  return key?.replace(loneSurrogates, '\u{fffd}')
}

/** Kinesis counts Unicode characters, not UTF-16 units. */
function keyProblem(key: string): string | undefined {
  if (key === '') return 'the partition key is empty'
  if (key.length <= partitionKeyCharactersMax) return undefined
  const characters = Array.from(key).length
  if (characters <= partitionKeyCharactersMax) return undefined
  return `the partition key has ${characters} characters; Kinesis takes ${partitionKeyCharactersMax}`
}

function hashKeyProblem(text: string | undefined): string | undefined {
  if (text === undefined || (hashKeyDigits.test(text) && BigInt(text) < hashKeyEnd))
    return undefined
  return `"${text.slice(0, 60)}" is not a hash key: a decimal number from 0 up to 2^128 - 1`
}

function recordProblem(data: Buffer, key: string): string | undefined {
  const bytes = data.length + Buffer.byteLength(key)
  if (bytes <= recordBytesMax) return undefined
  return `the record has ${bytes} bytes with its partition key; a stream takes ${recordBytesMax}`
}

/** @param problem what is wrong; undefined when nothing is wrong */
function failureFor(
  code: ActionFailure['code'],
  where: string,
  resource: string,
  problem: string | undefined,
): ActionFailure | undefined {
  return problem === undefined ? undefined : { code, message: problem, where, resource }
}

/**
 * Makes the destination of a record from the name or ARN of a stream.
 *
 * The same destination object is used again and again, so that the outbox need not compare members.
 */
interface StreamTarget {
  /** The destination, or a sentence that says why there is none. */
  destinationOf(stream: string): StreamDestination | string
  /** Why there is no destination; it remembers nothing. */
  readonly problemOf: (stream: string) => string | undefined
}

/** Kinesis API Reference, PutRecord: StreamName, StreamARN. */
const streamNamePattern = /^[a-zA-Z0-9_.-]{1,128}$/
const streamArnPattern =
  /^arn:aws[a-z-]*:kinesis:([a-z]{2}(?:-[a-z]+)+-[0-9]):[0-9]{12}:stream\/([a-zA-Z0-9_.-]{1,128})$/

/** Streams that one action remembers: a template can name any number of them. */
const rememberedMax = 1_000

function createStreamTarget(
  roleArn: string,
  { region, delivery }: Pick<ActionContext, 'region' | 'delivery'>,
): StreamTarget {
  const remembered = createBoundedMap<string, StreamDestination>(rememberedMax)
  const { endpoint, externalId, settings } = delivery
  const credentials: StreamDestination['credentials'] =
    delivery.credentials === 'process' ? { kind: 'process' } : { kind: 'role', roleArn, externalId }
  const shared = {
    credentials: Object.freeze(credentials),
    settings,
    endpoint,
  }

  const find = (stream: string): StreamDestination | string => {
    if (!stream.startsWith('arn:')) {
      if (!streamNamePattern.test(stream)) return notAName(stream)
      return { kind: 'kinesis', region: delivery.region ?? region, streamName: stream, ...shared }
    }
    const [, arnRegion, streamName] = streamArnPattern.exec(stream) ?? []
    if (arnRegion === undefined || streamName === undefined) return notAnArn(stream)
    if (delivery.region !== undefined && delivery.region !== arnRegion) {
      return `"${stream}" is in ${arnRegion}, and the delivery settings say ${delivery.region}`
    }
    return { kind: 'kinesis', region: arnRegion, streamName, streamArn: stream, ...shared }
  }

  return {
    problemOf(stream) {
      const found = find(stream)
      return typeof found === 'string' ? found : undefined
    },
    destinationOf(stream) {
      const known = remembered.get(stream)
      if (known) return known
      const found = find(stream)
      if (typeof found === 'string') return found
      remembered.set(stream, Object.freeze(found))
      return found
    },
  }
}

function notAName(text: string): string {
  return `"${shorten(text, shownCharactersMax)}" is not a stream name: 1 to 128 letters, digits, ".", "_" or "-"`
}

function notAnArn(text: string): string {
  return (
    `"${shorten(text, shownCharactersMax)}" is not the ARN of a stream: ` +
    'arn:aws:kinesis:<region>:<12 digits>:stream/<name>'
  )
}
