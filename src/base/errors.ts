/**
 * The catalogue of errors: every error that leaves a room has a code from here. docs/ERRORS.md is
 * generated from it.
 *
 * `status` is the HTTP status of the answer. `retryable` says whether the same call can succeed
 * later without a change by the caller.
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
  // Codes of AWS IoT: names and statuses are those of its service model.
  SqlParseException: kind(400, false, 'A rule statement or a template cannot be read or checked.'),
  InvalidRequestException: kind(
    400,
    false,
    'A request, a payload or one of its fields is not valid.',
  ),
  UnauthorizedException: kind(401, false, 'The rule does not exist, or the caller may not see it.'),
  AccessDeniedException: kind(
    403,
    false,
    'The caller may not use this server, or may not make this request.',
  ),
  ForbiddenException: kind(403, false, 'The receiver of a direct message may not receive it.'),
  MissingAuthenticationTokenException: kind(403, false, 'The request is not signed.'),
  IncompleteSignatureException: kind(
    403,
    false,
    'The Authorization header cannot be read or lacks a part.',
  ),
  UnrecognizedClientException: kind(403, false, 'The access key or its session token is unknown.'),
  InvalidSignatureException: kind(
    403,
    false,
    'The signature does not fit the request, or its time is more than five minutes off.',
  ),
  ExpiredTokenException: kind(403, false, 'The access key has expired.'),
  MalformedPolicyException: kind(
    400,
    false,
    'A policy document is not valid or cannot be enforced.',
  ),
  ThrottlingException: kind(
    400,
    true,
    'There were too many requests, or too many refused ones; the data plane answers 429.',
  ),
  ResourceNotFoundException: kind(404, false, 'The named resource does not exist.'),
  MethodNotAllowedException: kind(405, false, 'The path exists, but not with this method.'),
  ResourceAlreadyExistsException: kind(409, false, 'A resource with this name already exists.'),
  VersionConflictException: kind(409, false, 'A thing has another version than the one named.'),
  VersionsLimitExceededException: kind(409, false, 'A policy has five versions already.'),
  DeleteConflictException: kind(409, false, 'A policy or a certificate is still in use.'),
  CertificateStateException: kind(
    406,
    false,
    'A certificate has a status in which the request is not possible.',
  ),
  CertificateValidationException: kind(400, false, 'A certificate cannot be read or verified.'),
  ConflictingResourceUpdateException: kind(
    409,
    true,
    'Another write to the same rule has not finished.',
  ),
  LimitExceededException: kind(410, false, 'A limit is reached, such as the number of rules.'),
  InternalException: kind(500, true, 'The engine itself has failed; the log names the cause.'),
  InternalFailureException: kind(
    500,
    true,
    'The same as InternalException, for tags and endpoints.',
  ),
  GatewayTimeoutException: kind(
    504,
    true,
    'The receiver of a direct message has not acknowledged it in time.',
  ),
  ServiceUnavailableException: kind(
    503,
    true,
    'The engine is starting, stopping, out of room, or cut off from its cluster.',
  ),

  // Codes of AWS Lambda for event source mappings.
  InvalidParameterValueException: kind(400, false, 'A parameter of the request is not valid.'),
  ValidationException: kind(400, false, 'A member of the request is out of range.'),
  ConflictException: kind(409, false, 'The shadow has another version than the one named.'),
  RequestEntityTooLargeException: kind(413, false, 'The document of a shadow is too large.'),
  UnsupportedDocumentEncodingException: kind(415, false, 'A document is not in UTF-8.'),
  ResourceConflictException: kind(
    409,
    false,
    'This stream and this function already have an event source mapping.',
  ),
  ResourceInUseException: kind(400, true, 'The event source mapping is being changed.'),
  InvalidRequestContentException: kind(400, false, 'The event of an invocation is not JSON.'),
  RequestTooLargeException: kind(413, false, 'The event of an invocation is too large.'),
  TooManyRequestsException: kind(429, true, 'There were too many requests to the Lambda API.'),
  ServiceException: kind(500, true, 'The engine itself has failed; the log names the cause.'),

  // Errors of the process: each ends `sluice` with one line and exit code 1.
  ConfigInvalid: kind(500, false, 'An environment variable or option has an unusable value.'),
  PortUnavailable: kind(
    500,
    false,
    'A port cannot be opened, because it is in use or not permitted.',
  ),
  DataFolderLocked: kind(500, false, 'Another process uses the data folder.'),
  DataFolderOfAnother: kind(
    500,
    false,
    'An engine was started with the data folder of a lab, or a lab with that of an engine.',
  ),
  DataFolderUnusable: kind(500, false, 'The data folder cannot be created, read or written.'),
  DataFolderDamaged: kind(500, false, 'A file of the data folder is lost, cut short or damaged.'),
  DataFolderVersionUnsupported: kind(500, false, 'A newer release wrote the data folder.'),
  RuleFileInvalid: kind(
    500,
    false,
    'A file in the rules folder cannot be read or is not a valid rule.',
  ),
  TemplateInvalid: kind(
    400,
    false,
    'A stack template or a plan of Terraform cannot be read, or it is none.',
  ),
  IdentityFileInvalid: kind(
    500,
    false,
    'A file of keys, passwords or certificates is open to others, cannot be read or is not valid.',
  ),

  ClusterMisconfigured: kind(
    500,
    false,
    'The NATS servers, or what they store, are not as a cluster needs them.',
  ),
  ClusterUnavailable: kind(503, true, 'The log of the cluster is closed.'),
  ClusterImportRefused: kind(
    409,
    false,
    'Nothing was moved to or from a cluster: a file cannot be used, or what is there differs.',
  ),
  ClusterImportIncomplete: kind(
    503,
    true,
    'A part was moved into a cluster; the message names it, and the command can be run again.',
  ),

  BrokerUnreachable: kind(500, true, 'A command cannot connect to an MQTT broker.'),
  BrokerRefused: kind(
    500,
    false,
    'An MQTT broker refused the connection, a message or a subscription of a command.',
  ),

  // Errors of the message path.
  PayloadTooLarge: kind(400, false, 'The payload of a message is too large.'),
  OutboxWriteFailed: kind(
    503,
    true,
    'Records could not be written to disk; the message is not acknowledged.',
  ),
  OutboxFull: kind(
    503,
    true,
    'A destination has no room left; a message of QoS 0 is dropped, others are not acknowledged.',
  ),
  SenderGone: kind(
    503,
    true,
    'A connection closed while its message waited for room, or behind one that waits.',
  ),
  OutputTooLong: kind(413, false, 'The output of a rule is longer than any record may be.'),
  OutputNotAllowed: kind(
    400,
    false,
    'The SQL version of a rule does not allow its output, such as an array under 2015-10-08.',
  ),
  TemplateFailed: kind(
    400,
    false,
    'A template of an action made a value that its field cannot hold.',
  ),
  ExternalFunctionFailed: kind(
    502,
    true,
    'An external function of a rule failed; none of its actions runs for the message.',
  ),
  WorkLimitExceeded: kind(
    413,
    false,
    'A rule exceeded its work budget for a message; none of its actions runs.',
  ),
  EvaluationFailed: kind(
    500,
    false,
    'The engine failed while it evaluated a rule; none of the actions runs for the message.',
  ),
  ConsumerFailed: kind(
    502,
    true,
    'A consumer stopped: the stream cannot be read, or the handler failed too often.',
  ),
  LeaseTableUnusable: kind(
    502,
    false,
    'The table of leases cannot be made, read or written, or is not for this stream.',
  ),
  ActionFailed: kind(400, false, 'An action of a rule could not be carried out for a message.'),
} satisfies Record<string, ErrorKind>)

export type ErrorCode = keyof typeof errorCatalogue

interface ErrorOptions {
  readonly cause?: unknown
  readonly details?: Readonly<Record<string, string | number>>
  readonly field?: string | undefined
}

/** An error with a code from the catalogue. Its `cause` is for the log. */
export class SluiceError extends Error {
  readonly code: ErrorCode
  /** Further members of the HTTP answer, e.g. `resourceArn` of ResourceAlreadyExistsException. */
  readonly details: Readonly<Record<string, string | number>>
  /** The field of a document that is wrong: `actions[0].kinesis.streamName`. */
  readonly field: string | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = code
    this.code = code
    this.details = options.details ?? {}
    this.field = options.field
  }

  get status(): number {
    return errorCatalogue[this.code].status
  }

  get retryable(): boolean {
    return errorCatalogue[this.code].retryable
  }
}

/** The text of anything thrown, for messages that people read. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** The error of a request that is not valid; `message` names the field. */
export function invalidRequest(message: string): SluiceError {
  return new SluiceError('InvalidRequestException', message)
}

/**
 * The error of one field of a document.
 *
 * @param problem what is wrong: `: the text is empty`, or ` is missing`
 */
export function invalidField(field: string, problem: string): SluiceError {
  return new SluiceError('InvalidRequestException', `${field}${problem}`, { field })
}

/** Faults that one message lists. */
const listedMax = 20

/** Several faults of one document. Its code and its details are those of the first. */
class SeveralFaults extends SluiceError {
  readonly faults: readonly SluiceError[]
  readonly place: string | undefined

  /** @param place what the message begins with: the name of a file */
  constructor(first: SluiceError, faults: readonly SluiceError[], place?: string) {
    const { code, details } = first
    const text = listOf(faults, '\n', (fault) => fault.message)
    const head = `${faults.length} problems:\n${text}`
    super(code, place === undefined ? head : `${place}: ${head}`, { cause: first, details })
    this.faults = faults
    this.place = place
  }
}

/** The first faults, with their fields, and with their codes where these differ. */
function listOf(
  faults: readonly SluiceError[],
  separator: string,
  textOf: (fault: SluiceError) => string,
): string {
  const areAlike = faults.every(({ code }) => code === faults[0]?.code)
  const listed = faults.slice(0, listedMax).map((fault) => {
    const { code, field = '' } = fault
    const text = textOf(fault)
    const whole = text.startsWith(field) ? text : `${field}: ${text}`
    return areAlike ? whole : `${code}: ${whole}`
  })
  const more = faults.length - listedMax
  return [...listed, ...(more > 0 ? [`and ${more} more`] : [])].join(separator)
}

/** The faults that an error tells: itself, unless it stands for several. */
export function faultsIn(thrown: SluiceError): readonly SluiceError[] {
  return thrown instanceof SeveralFaults ? thrown.faults : [thrown]
}

/**
 * Throws the faults of one document together, so that its author sees all of them at once.
 *
 * @throws SluiceError the fault itself when there is one; else one with the messages of all
 */
export function throwFaults(faults: readonly SluiceError[]): void {
  const each = faults.flatMap(faultsIn)
  const [first] = each
  if (first === undefined) return
  throw each.length === 1 ? first : new SeveralFaults(first, each)
}

/** Runs `make` and adds what it throws to `faults`; it returns undefined then. */
export function orFault<Result>(faults: SluiceError[], make: () => Result): Result | undefined {
  try {
    return make()
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    faults.push(...faultsIn(thrown))
    return undefined
  }
}

/** Runs `make`, whose faults then name the field of a document that it reads. */
export function atField<Result>(field: string, make: () => Result): Result {
  try {
    return make()
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    const [first, ...others] = faultsIn(thrown).map((fault) => {
      const { code, message, details } = fault
      return new SluiceError(code, `${field}: ${message}`, { cause: fault, details, field })
    })
    if (first === undefined) throw thrown
    throw others.length === 0 ? first : new SeveralFaults(first, [first, ...others])
  }
}

/** The same error with a message that begins with a place, such as the name of a file. */
export function withPlace(thrown: SluiceError, place: string): SluiceError {
  const { code, details, message, field } = thrown
  if (thrown instanceof SeveralFaults) return new SeveralFaults(thrown, thrown.faults, place)
  return new SluiceError(code, `${place}: ${message}`, { cause: thrown, details, field })
}

/**
 * The text of anything thrown in one line, for logs. It names all faults. Messages of the SQL
 * compiler show the statement on further lines, which are left out.
 */
export function lineOf(thrown: unknown): string {
  if (!(thrown instanceof SeveralFaults)) return firstLine(messageOf(thrown))
  const { place, faults } = thrown
  const text = listOf(faults, '; ', ({ message }) => firstLine(message))
  return place === undefined ? text : `${place}: ${text}`
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''

/** Cuts a text from outside for messages that people read. */
export function shorten(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}...`
}
