/**
 * The catalogue of errors: every error that crosses a folder has a code from here, and
 * docs/ERRORS.md lists the same codes (a test keeps the two equal).
 *
 * `status` is the HTTP status that the code answers with; `retryable` says whether the same call
 * can succeed later without a change by the caller.
 */
export interface ErrorKind {
  readonly status: number
  readonly retryable: boolean
  readonly description: string
}

const kind = (status: number, retryable: boolean, description: string): ErrorKind => ({
  status,
  retryable,
  description,
})

export const errorCatalogue = Object.freeze({
  // AWS IoT's own codes: names and statuses are its service model's.
  SqlParseException: kind(400, false, 'A rule statement or a template cannot be read or checked.'),
  InvalidRequestException: kind(
    400,
    false,
    'A request, a payload or one of its fields is not valid.',
  ),
  UnauthorizedException: kind(401, false, 'The rule is not there, or the caller may not see it.'),
  AccessDeniedException: kind(403, false, 'The caller may not reach this server or do this.'),
  MissingAuthenticationTokenException: kind(403, false, 'The request is not signed.'),
  IncompleteSignatureException: kind(
    403,
    false,
    'The Authorization header cannot be read, or lacks a part.',
  ),
  UnrecognizedClientException: kind(
    403,
    false,
    'The access key, or the session token with it, is not known.',
  ),
  InvalidSignatureException: kind(
    403,
    false,
    'The signature is not that of this request, or is more than five minutes off.',
  ),
  ExpiredTokenException: kind(403, false, 'The access key has expired.'),
  MalformedPolicyException: kind(400, false, 'A policy document is not valid, or not enforceable.'),
  ThrottlingException: kind(
    400,
    true,
    'Too many requests, or too many that could not be let in; 429 on the data plane.',
  ),
  ResourceNotFoundException: kind(404, false, 'The named resource does not exist.'),
  MethodNotAllowedException: kind(405, false, 'The path exists, but not with this method.'),
  ResourceAlreadyExistsException: kind(409, false, 'A rule of this name exists already.'),
  ConflictingResourceUpdateException: kind(
    409,
    true,
    'Another write to the same rule is under way.',
  ),
  LimitExceededException: kind(410, false, 'A limit, such as the number of rules, is reached.'),
  InternalException: kind(500, true, 'A fault of the engine itself; the log has the cause.'),
  InternalFailureException: kind(
    500,
    true,
    'The same, under the name that tags and endpoints use.',
  ),
  ServiceUnavailableException: kind(503, true, 'The engine is starting, stopping or out of room.'),

  // Lambda's, of event source mappings.
  InvalidParameterValueException: kind(400, false, 'A parameter of the request is not valid.'),
  ValidationException: kind(400, false, 'A member of the request is out of its range.'),
  ResourceConflictException: kind(409, false, 'An event source mapping of the two exists already.'),
  ResourceInUseException: kind(400, true, 'The event source mapping is being changed.'),
  TooManyRequestsException: kind(429, true, 'Too many requests to the API of Lambda.'),
  ServiceException: kind(500, true, 'A fault of the engine itself; the log has the cause.'),

  // The process: each ends `sluice` with one line and exit code 1.
  ConfigInvalid: kind(500, false, 'An environment variable or option has an unusable value.'),
  PortUnavailable: kind(500, false, 'A port cannot be listened on: taken, or not permitted.'),
  DataFolderLocked: kind(500, false, 'Another process uses the data folder.'),
  DataFolderOfAnother: kind(
    500,
    false,
    "The data folder is a lab's where an engine is started, or the other way round.",
  ),
  DataFolderUnusable: kind(500, false, 'The data folder cannot be made, read or written.'),
  DataFolderVersionUnsupported: kind(500, false, 'A newer release wrote the data folder.'),
  RuleFileInvalid: kind(
    500,
    false,
    'A file in the rules folder is unreadable or not a valid rule.',
  ),
  IdentityFileInvalid: kind(
    500,
    false,
    'A file of keys, passwords or certificates is open to others, unreadable or not valid.',
  ),

  BrokerUnreachable: kind(500, true, 'No MQTT broker answers a command that connects to one.'),
  BrokerRefused: kind(
    500,
    false,
    'An MQTT broker refuses the connection, a message or a subscription of a command.',
  ),

  // The message path.
  PayloadTooLarge: kind(413, false, 'A message is over the payload limit.'),
  OutboxWriteFailed: kind(503, true, 'Records could not be made durable; nothing is acknowledged.'),
  OutboxFull: kind(503, true, 'A destination has no room; a message that cannot wait is dropped.'),
  SenderGone: kind(
    503,
    true,
    'The connection of a message went before its turn behind an external function.',
  ),
  OutputTooLong: kind(413, false, 'A rule makes an output that is longer than any record.'),
  OutputNotAllowed: kind(
    400,
    false,
    'A rule makes an output that its SQL version does not have, such as an array under 2015-10-08.',
  ),
  TemplateFailed: kind(
    400,
    false,
    'A template of an action gave a value that the field cannot hold.',
  ),
  ExternalFunctionFailed: kind(
    502,
    true,
    "A function of a rule that calls out failed; none of the rule's actions runs for the message.",
  ),
  WorkLimitExceeded: kind(
    413,
    false,
    "A rule needs more work for a message than one may do; none of the rule's actions runs.",
  ),
  EvaluationFailed: kind(
    500,
    false,
    "Evaluating a rule failed for a message by a fault of the engine; none of the rule's actions runs.",
  ),
  ConsumerFailed: kind(
    502,
    true,
    'A consumer cannot go on: the stream cannot be read, or the handler failed too often.',
  ),
  ActionFailed: kind(400, false, 'An action of a rule could not be carried out for a message.'),
} satisfies Record<string, ErrorKind>)

export type ErrorCode = keyof typeof errorCatalogue

/** An error with a code from the catalogue. `cause` is what led to it, for the log. */
export class SluiceError extends Error {
  readonly code: ErrorCode
  /** Further members of the HTTP answer, e.g. `resourceArn` of ResourceAlreadyExistsException. */
  readonly details: Readonly<Record<string, string | number>>

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: Readonly<Record<string, string | number>> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = code
    this.code = code
    this.details = options.details ?? {}
  }

  get status(): number {
    return errorCatalogue[this.code].status
  }

  get retryable(): boolean {
    return errorCatalogue[this.code].retryable
  }
}

/** The text of anything thrown, for a message to people. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** A request, or a part of one, that is not valid; `message` names the field. */
export function invalidRequest(message: string): SluiceError {
  return new SluiceError('InvalidRequestException', message)
}

/** A text that came from outside, cut for a message to people. */
export function shorten(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}...`
}
