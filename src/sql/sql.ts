/**
 * AWS IoT SQL: what the rest of the engine uses of it.
 *
 * A statement is compiled once and evaluated many times. Evaluating never throws: what cannot be
 * computed is the value Undefined.
 *
 *   const statement = compileStatement("SELECT temp FROM 'dt/+/x' WHERE temp > 50", '2016-03-23')
 *   const document = createDocument(message, environment)   // once a message, for all its rules
 *   const scope = statement.openScope(document)             // once a message and rule
 *   const result = statement.evaluate(scope)                // WHERE, then SELECT
 *   const key = expression.evaluate(scope)                  // templates see the same scope
 */
export type SqlVersion = '2015-10-08' | '2016-03-23' | 'beta'

/** What SQL can see of a message; a `Message` is one. */
export interface SqlMessage {
  readonly topic: string
  readonly payload: Buffer
  readonly clientId?: string
  readonly principal?: string
  readonly sourceIp?: string
  readonly traceId?: string
  readonly timestampMs: number
  readonly mqtt5?: {
    readonly contentType?: string
    readonly payloadFormatIndicator?: 0 | 1
    readonly responseTopic?: string
    readonly correlationData?: Buffer
    readonly userProperties?: readonly (readonly [string, string])[]
  }
}

/** What SQL can see of the engine. */
export interface SqlEnvironment {
  readonly accountId: string
  /** A random UUID (RFC 4122, lower case): `newuuid()`. */
  readonly newUuid: () => string
}

/** One message as SQL reads it: its payload is parsed at most once, and only when a rule looks. */
export type MessageDocument = { readonly message: SqlMessage; readonly environment: SqlEnvironment }

/** One rule on one message: what its SELECT, WHERE, variables and templates can see. Opaque. */
export type Scope = { readonly document: MessageDocument }

export type StatementResult =
  | { readonly matched: false }
  | {
      readonly matched: true
      /** What the actions get: for `SELECT *` alone the very bytes of the message. */
      readonly output: Buffer
      /** Whether `output` is a JSON document. */
      readonly outputIsJson: boolean
    }

export interface CompiledStatement {
  readonly version: SqlVersion
  /** Undefined when the statement has no FROM (Basic Ingest only). */
  readonly topicFilter: string | undefined
  openScope(document: MessageDocument): Scope
  evaluate(scope: Scope): StatementResult
  /**
   * Compiles an expression that stands in a longer text, such as `${expr}` in a template, against
   * the variables of this statement. Reading starts at `start` and ends before the first token
   * that cannot belong to it; `end` is the offset of that token.
   *
   * @throws SluiceError SqlParseException, with line and column within `text`
   */
  compileExpression(text: string, start: number): { expression: CompiledExpression; end: number }
}

export interface CompiledExpression {
  /** True when the value is the same for every message (a literal, or made of literals only). */
  readonly isConstant: boolean
  /** The text that a template puts in the expression's place; Undefined gives `''`. */
  expandText(scope: Scope): string
}
