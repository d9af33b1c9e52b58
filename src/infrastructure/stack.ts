/**
 * What Sluice takes from the infrastructure code of a person: rules and what they need to run.
 * Every part says where it comes from.
 */
export interface Stack {
  readonly rules: readonly StackRule[]
  readonly streams: readonly StackStream[]
  readonly mappings: readonly StackMapping[]
  readonly functions: readonly StackFunction[]
  /** What has a placeholder now, because its value is known at deployment only. */
  readonly unresolved: readonly Unresolved[]
  /** Resources that were left out on purpose. */
  readonly skipped: readonly Skipped[]
  /** How many resources there are of each type that Sluice takes nothing from. */
  readonly notRead: ReadonlyMap<string, number>
}

export interface Origin {
  /** The file as the caller named it, or a file that it led to. */
  readonly file: string
  /** The logical id, or Terraform's address. */
  readonly resource: string
}

export interface StackRule extends Origin {
  readonly name: string
  /** `TopicRulePayload` with the member names of the API; it is not checked here. */
  readonly payload: JsonObject
  readonly tags: Readonly<Record<string, string>>
}

export interface StackStream extends Origin {
  readonly name: string
  readonly shards: number
}

export interface StackMapping extends Origin {
  /** The body of Lambda's CreateEventSourceMapping; it is not checked here. */
  readonly request: JsonObject
}

/** A function whose code is a local folder of Node. */
export interface StackFunction extends Origin {
  readonly name: string
  /** The folder of the code. */
  readonly folder: string
  /** `<file without its ending>.<export>`, relative to the folder. */
  readonly handler: string
  readonly environment: Readonly<Record<string, string>>
  readonly timeoutSeconds?: number | undefined
}

export interface Unresolved extends Origin {
  /** The property, e.g. `TopicRulePayload.Actions[0].Kinesis.StreamName`; `''` for the resource. */
  readonly member: string
  /** What has no value, e.g. `Fn::ImportValue prod-topic`. */
  readonly reason: string
  /** The name with which a parameter gives the value; undefined where none can. */
  readonly answer?: string | undefined
  /** What stands there now. */
  readonly placeholder?: string | undefined
  /** Members of rules in which it stands, where the value is that of something else. */
  readonly usedIn?: readonly string[] | undefined
}

export interface Skipped extends Origin {
  readonly reason: string
}

export type JsonObject = Readonly<Record<string, unknown>>

export interface StackOptions {
  /** ARNs are made with these. */
  readonly region: string
  readonly accountId: string
  /** Values of parameters, and of other names that `Unresolved.answer` gave. */
  readonly parameters: ReadonlyMap<string, string>
  /** Told of each file and folder that the result depends on, before it is looked at. */
  readonly onFile?: ((file: string) => void) | undefined
}
