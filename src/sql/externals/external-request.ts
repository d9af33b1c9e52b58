/**
 * What a rule asks of the world outside while it is evaluated: one kind of request for each external
 * function. The language judges the arguments; who answers (AWS, a folder, a test) is handed in.
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

/** Answered by what the Lambda function returned, which must be JSON. */
export interface LambdaRequest {
  readonly function: 'aws_lambda'
  readonly functionArn: string
  /** A JSON document. */
  readonly inputJson: string
}

/** Answered by the item as an Object, or Undefined where there is none. */
export interface DynamoDbRequest {
  readonly function: 'get_dynamodb'
  readonly tableName: string
  readonly partitionKey: DynamoDbKey
  readonly sortKey?: DynamoDbKey
  readonly roleArn: string
}

export interface DynamoDbKey {
  readonly name: string
  /** DynamoDB's names for a String and a number. */
  readonly type: 'S' | 'N'
  readonly text: string
}

/** Answered by the whole secret, or by the value of one of its keys. */
export interface SecretRequest {
  readonly function: 'get_secret'
  readonly secretId: string
  readonly secretType: 'SecretString' | 'SecretBinary'
  readonly key?: string
  readonly roleArn: string
}

/** Answered by the shadow document as an Object. */
export interface ThingShadowRequest {
  readonly function: 'get_thing_shadow'
  readonly thingName: string
  /** Absent for the unnamed shadow. */
  readonly shadowName?: string
  readonly roleArn: string
}

/** Answered as the operation of AWS IoT answers. */
export interface RegistryRequest {
  readonly function: 'get_registry_data'
  readonly operation: 'DescribeThing' | 'ListThingGroupsForThing'
  readonly thingName: string
  readonly roleArn: string
}

/** Answered by the decoded message as an Object. */
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
 * Answers a request. To reject is the failure of the function, and the reason is for people: it
 * holds no secret. Bounds on time and on calls under way are the caller's own.
 */
export type CallExternal = (request: ExternalRequest, signal: AbortSignal) => Promise<Value>

/** A place in the text where an external function is called, or where something random is drawn. */
export interface CallSite {
  /** The sites of a function there share one call: a second one ends the rule. */
  readonly onceIn?: 'the statement' | 'the rule' | undefined
}

/** The state of one scope; there is none before the first call. */
export interface ExternalCalls {
  /** @throws Suspended, CallFailed, WorkSpent */
  resultOf(site: CallSite, request: ExternalRequest, work: Work): Value
  /** The value drawn at a place for an element of nested queries is the same in every round. */
  sameAsBefore(site: CallSite, element: string, draw: () => Value): Value
  /** Rounds that are over. */
  readonly round: number
  readonly isWaiting: boolean
  /** Resolves when all calls under way have ended; the next round may begin. */
  nextRound(): Promise<void>
  /** Gives up what is still under way. */
  end(): void
}
