/**
 * The external functions: each turns its arguments into a request. Texts use the standard
 * conversion. An argument without text makes the call Undefined, and no request is sent.
 */
import type { Expression } from '../parser/ast.ts'
import { isConstant } from '../parser/constant.ts'
import { toText } from '../values/conversions.ts'
import type { Dialect } from '../values/dialect.ts'
import type { DynamoDbKey, ExternalRequest, SecretRequest } from '../externals/external-request.ts'
import { writtenJson } from '../values/json-writer.ts'
import { textLengthMax } from '../values/text-limit.ts'
import { isNumber } from '../values/values.ts'
import type { Value } from '../values/values.ts'
import type { Work } from '../values/work.ts'
import type {
  ArgumentProblem,
  ExternalCall,
  FunctionContext,
  MakeRequest,
  SqlFunction,
} from './function.ts'

const secretTypes = ['SecretString', 'SecretBinary'] as const
const registryOperations = ['DescribeThing', 'ListThingGroupsForThing'] as const

export const externalFunctions: readonly SqlFunction[] = [
  external('aws_lambda', '2015-10-08', [2, 2], { request: lambdaRequest }, ([functionArn]) =>
    writtenProblem('the function', functionArn),
  ),
  external(
    'get_dynamodb',
    '2016-03-23',
    [4, 6],
    { request: dynamoDbRequest, onceIn: 'the statement' },
    roleProblem,
  ),
  external(
    'get_secret',
    '2015-10-08',
    [3, 4],
    { request: secretRequest },
    (values) =>
      choiceProblem(values[1], 'the secret type', secretTypes, { isFixed: false }) ??
      roleProblem(values),
  ),
  external('get_thing_shadow', '2016-03-23', [2, 3], { request: thingShadowRequest }, roleProblem),
  external(
    'get_registry_data',
    '2016-03-23',
    [3, 3],
    { request: registryRequest, writtenMax: 1, onceIn: 'the rule' },
    (values) =>
      choiceProblem(values[0], 'the first argument of get_registry_data()', registryOperations, {
        isFixed: true,
      }) ?? roleProblem(values),
  ),
]

function external(
  name: string,
  sinceVersion: SqlFunction['sinceVersion'],
  arity: SqlFunction['arity'],
  call: ExternalCall,
  findProblem?: NonNullable<SqlFunction['findProblem']>,
): SqlFunction {
  return {
    name,
    sinceVersion,
    arity,
    implementation: () => undefined,
    externalCall: () => call,
    findProblem,
  }
}

/** `aws_lambda(functionArn, inputJson)`; `*` stands for a payload that is JSON. */
function lambdaRequest(
  [functionArn, input]: readonly Value[],
  { state }: FunctionContext,
  dialect: Dialect,
): ReturnType<MakeRequest> {
  const arn = toText(functionArn, dialect, state)
  if (arn === undefined || input === undefined) return undefined
  const inputJson = writtenJson(input, dialect, state)
  if (inputJson === undefined) {
    return { problem: `the input is longer than ${textLengthMax} characters` }
  }
  return { function: 'aws_lambda', functionArn: arn, inputJson }
}

/**
 * `get_dynamodb(table, partitionKeyName, partitionKeyValue[, sortKeyName, sortKeyValue], roleArn)`
 */
function dynamoDbRequest(
  values: readonly Value[],
  { state }: FunctionContext,
  dialect: Dialect,
): ExternalRequest | undefined {
  const tableName = toText(values[0], dialect, state)
  const roleArn = toText(values.at(-1), dialect, state)
  const partitionKey = keyOf(values[1], values[2], dialect, state)
  if (tableName === undefined || roleArn === undefined || partitionKey === undefined) {
    return undefined
  }
  if (values.length === 4) return { function: 'get_dynamodb', tableName, partitionKey, roleArn }
  const sortKey = values.length === 6 ? keyOf(values[3], values[4], dialect, state) : undefined
  if (sortKey === undefined) return undefined
  return { function: 'get_dynamodb', tableName, partitionKey, sortKey, roleArn }
}

/** The key that DynamoDB looks for: a number for a number, otherwise a String. */
function keyOf(name: Value, value: Value, dialect: Dialect, state: Work): DynamoDbKey | undefined {
  const keyName = toText(name, dialect, state)
  const text = toText(value, dialect, state)
  if (keyName === undefined || text === undefined) return undefined
  return { name: keyName, type: isNumber(value) ? 'N' : 'S', text }
}

/** `get_secret(secretId, secretType[, key], roleArn)` */
function secretRequest(
  values: readonly Value[],
  { state }: FunctionContext,
  dialect: Dialect,
): SecretRequest | undefined {
  const secretId = toText(values[0], dialect, state)
  const secretType = secretTypes.find((each) => each === values[1])
  const roleArn = toText(values.at(-1), dialect, state)
  if (secretId === undefined || secretType === undefined || roleArn === undefined) return undefined
  if (values.length === 3) return { function: 'get_secret', secretId, secretType, roleArn }
  const key = toText(values[2], dialect, state)
  return key === undefined
    ? undefined
    : { function: 'get_secret', secretId, secretType, key, roleArn }
}

/** `get_thing_shadow(thingName[, shadowName], roleArn)` */
function thingShadowRequest(
  values: readonly Value[],
  { state }: FunctionContext,
  dialect: Dialect,
): ExternalRequest | undefined {
  const thingName = toText(values[0], dialect, state)
  const roleArn = toText(values.at(-1), dialect, state)
  if (thingName === undefined || roleArn === undefined) return undefined
  if (values.length === 2) return { function: 'get_thing_shadow', thingName, roleArn }
  const shadowName = toText(values[1], dialect, state)
  return shadowName === undefined
    ? undefined
    : { function: 'get_thing_shadow', thingName, shadowName, roleArn }
}

/** `get_registry_data(operation, thingName, roleArn)` */
function registryRequest(
  values: readonly Value[],
  { state }: FunctionContext,
  dialect: Dialect,
): ExternalRequest | undefined {
  const operation = registryOperations.find((each) => each === values[0])
  const thingName = toText(values[1], dialect, state)
  const roleArn = toText(values[2], dialect, state)
  if (operation === undefined || thingName === undefined || roleArn === undefined) return undefined
  return { function: 'get_registry_data', operation, thingName, roleArn }
}

/**
 * `decode(text | *, 'proto', bucketName, objectKey, protoName, messageType)`: the text is
 * the message in base64; `*` stands for the bytes of the payload.
 */
export const protobufCall: ExternalCall = {
  request: (values, context, dialect) =>
    protobufRequest(toText(values[0], dialect, context.state), values, context, dialect),
  payloadRequest: (values, context, dialect) => {
    const base64 = context.document.message.payload.toString('base64')
    return protobufRequest(base64, values, context, dialect)
  },
  writtenMax: 2,
  isRefusedInTemplates: true,
}

function protobufRequest(
  base64: string | undefined,
  values: readonly Value[],
  { state }: FunctionContext,
  dialect: Dialect,
): ReturnType<MakeRequest> {
  const [bucketName, objectKey, protoName, messageType] = values
    .slice(2)
    .map((value) => toText(value, dialect, state))
  if (base64 === undefined || bucketName === undefined || objectKey === undefined) return undefined
  if (protoName === undefined || messageType === undefined) return undefined
  return { function: 'decode', base64, bucketName, objectKey, protoName, messageType }
}

function choiceProblem(
  value: Expression | undefined,
  what: string,
  choices: readonly string[],
  { isFixed }: { readonly isFixed: boolean },
): ArgumentProblem | undefined {
  if (value === undefined || (!isFixed && !isConstant(value))) return undefined
  if (value.kind === 'constant' && choices.some((each) => each === value.value)) return undefined
  return {
    at: value.at,
    problem: `${what} must be ${choices.map((each) => `'${each}'`).join(' or ')}`,
  }
}

/** The role is the last argument. */
function roleProblem(values: readonly Expression[]): ArgumentProblem | undefined {
  return writtenProblem('the role', values.at(-1))
}

/**
 * The AWS IoT guide allows no variables in roles. Sluice allows no attributes of the message
 * either, in roles and wherever it acts with its own rights: a device must not choose what is done,
 * or with which rights.
 */
export function writtenProblem(
  what: string,
  value: Expression | undefined,
): ArgumentProblem | undefined {
  if (value === undefined || isFixedText(value)) return undefined
  return {
    at: value.at,
    problem: `${what} must be a text, concat() or accountid(), without attributes of the message`,
  }
}

const fixedFunctions: ReadonlySet<string> = new Set(['concat', 'accountid'])

function isFixedText(expression: Expression): boolean {
  if (isConstant(expression)) return true
  if (expression.kind === 'call') {
    return (
      fixedFunctions.has(expression.name.toLowerCase()) && expression.arguments.every(isFixedText)
    )
  }
  if (expression.kind !== 'binary') return false
  return (
    isFixedText(expression.first) && expression.steps.every((step) => isFixedText(step.operand))
  )
}
