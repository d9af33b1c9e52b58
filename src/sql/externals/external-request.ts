/**
 * The requests that external functions make while a rule is evaluated, one kind per function. The
 * language checks the arguments; the caller provides the function that answers (AWS, a folder, a
 * test).
 */
import type { Value } from '../values/values.ts'
import type { Work } from '../values/work.ts'

export type ExternalRequest =
  | LambdaRequest
  | DynamoDbRequest
  | SecretRequest
  | ThingShadowRequest
  | RegistryRequest
  | ProtobufRequest

/** The name of an external function, as the guide spells it. */
export type ExternalFunctionName = ExternalRequest['function']

/** The answer is the JSON that the Lambda function returned. */
export interface LambdaRequest {
  readonly function: 'aws_lambda'
  readonly functionArn: string
  /** A JSON document. */
  readonly inputJson: string
}

/** The answer is the item as an Object, or Undefined when there is none. */
export interface DynamoDbRequest {
  readonly function: 'get_dynamodb'
  readonly tableName: string
  readonly partitionKey: DynamoDbKey
  readonly sortKey?: DynamoDbKey
  readonly roleArn: string
}

export interface DynamoDbKey {
  readonly name: string
  /** DynamoDB's names of the types String and number. */
  readonly type: 'S' | 'N'
  readonly text: string
}

/** The answer is the whole secret, or the value of one of its keys. */
export interface SecretRequest {
  readonly function: 'get_secret'
  readonly secretId: string
  readonly secretType: 'SecretString' | 'SecretBinary'
  readonly key?: string
  readonly roleArn: string
}

/** The answer is the shadow document as an Object. */
export interface ThingShadowRequest {
  readonly function: 'get_thing_shadow'
  readonly thingName: string
  /** Undefined for the unnamed shadow. */
  readonly shadowName?: string
  readonly roleArn: string
}

/** The answer is that of the AWS IoT operation. */
export interface RegistryRequest {
  readonly function: 'get_registry_data'
  readonly operation: 'DescribeThing' | 'ListThingGroupsForThing'
  readonly thingName: string
  readonly roleArn: string
}

/** The answer is the decoded message as an Object. */
export interface ProtobufRequest {
  readonly function: 'decode'
  /** The encoded message in base64. */
  readonly base64: string
  readonly bucketName: string
  readonly objectKey: string
  /** The `.proto` file that declares the type, without its extension. */
  readonly protoName: string
  readonly messageType: string
}

/**
 * Answers a request. A rejection is the failure of the function; its reason is shown to people and
 * must not hold a secret. The implementation itself bounds its time and its calls in flight.
 */
export type CallExternal = (request: ExternalRequest, signal: AbortSignal) => Promise<Value>

/** A place in the text that calls an external function or draws a random value. */
export interface CallSite {
  /** The scope in which the function may be called once: a second call ends the rule. */
  readonly onceIn?: 'the statement' | 'the rule' | undefined
}

/** The external calls of one scope; made for its first call. */
export interface ExternalCalls {
  /** The result of a call, which is started if needed. @throws Suspended, CallFailed, WorkSpent */
  resultOf(site: CallSite, request: ExternalRequest, work: Work): Value
  /** The value drawn at a place, for an element of nested queries: the same in every round. */
  sameAsBefore(site: CallSite, element: string, draw: () => Value): Value
  /** The number of finished rounds. */
  readonly round: number
  readonly isWaiting: boolean
  /** Resolves when all calls in flight have ended and the next round may start. */
  nextRound(): Promise<void>
  /** Aborts the calls that are still in flight. */
  end(): void
}
