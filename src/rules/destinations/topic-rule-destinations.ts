import { randomBytes, randomUUID } from 'node:crypto'
import type { HttpPoster } from '../../aws/http/http-poster.ts'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, invalidRequest, messageOf } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { createConfirmationRequests } from './confirmation-requests.ts'
import type { ConfirmationRequest, ConfirmationRequests } from './confirmation-requests.ts'
import { openDestinationBook } from './destination-book.ts'
import type { DestinationBook } from './destination-book.ts'
import type { StoredDestination } from './destination-files.ts'
import { pageOfDestinations } from './page-of-destinations.ts'
import type { DestinationPage, DestinationQuery } from './page-of-destinations.ts'

/** AWS IoT API Reference, TopicRuleDestination. */
export interface TopicRuleDestination {
  readonly arn: string
  readonly status: DestinationStatus
  /** Epoch milliseconds. */
  readonly createdMs: number
  readonly updatedMs: number
  readonly statusReason: string | undefined
  readonly confirmationUrl: string
}

type DestinationStatus = 'ENABLED' | 'DISABLED' | 'IN_PROGRESS' | 'ERROR'

/**
 * The web services that have agreed to get the records of HTTP actions. A change is on disk before
 * it holds.
 */
export interface TopicRuleDestinations {
  /**
   * @param confirmBase the URL of the HTTP API as the caller knows it
   * @throws SluiceError ResourceAlreadyExistsException, InvalidRequestException (rejects)
   */
  create(confirmationUrl: string, confirmBase?: string): Promise<TopicRuleDestination>
  /** Makes the destination of a rule unless it is there. It logs why it cannot. */
  ensure(confirmationUrl: string): Promise<void>
  /** @throws SluiceError UnauthorizedException: it does not exist */
  get(arn: string): TopicRuleDestination
  list(query: DestinationQuery): DestinationPage<TopicRuleDestination>
  /**
   * @throws SluiceError UnauthorizedException: it does not exist; InvalidRequestException: the
   *   status cannot follow on the present one (rejects)
   */
  update(arn: string, status: string, confirmBase?: string): Promise<void>
  /** @throws SluiceError UnauthorizedException (rejects): it does not exist */
  delete(arn: string): Promise<void>
  /** @throws SluiceError InvalidRequestException: the token is unknown or too old (rejects) */
  confirm(token: string): Promise<void>
  /** Why no record may be sent under a confirmation URL; undefined when it may. */
  readonly disabledReason: (confirmationUrl: string) => string | undefined
  /** Asks for the confirmations that are due: this server can be reached now. */
  start(): void
  close(): Promise<void>
}

interface DestinationsDependencies {
  readonly poster: Pick<HttpPoster, 'post'>
  /** What is wrong with a URL, as the end of a sentence. */
  readonly urlProblem: (url: string) => string | undefined
  /** The ARN of a destination, by `http/<UUID>`. */
  readonly arnOf: (resource: string) => string
  /**
   * The URL of the HTTP API, without a slash behind it.
   *
   * @param known as the caller knew it who made the destination
   */
  readonly confirmBaseOf: (known: string | undefined) => string
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
}

interface DestinationsOptions {
  readonly folder: string
  /** The lab enables all of them at once, and asks nobody. */
  readonly needsConfirmation: boolean
}

/** AWS's quota, and the bound of what is kept here. */
const destinationsMax = 1_000
const confirmationUrlLengthMax = 2_000
/** Changes that may wait for the running one. */
const changesWaitingMax = 64
/** AWS IoT developer guide: a token is valid for three days. */
const tokenValidMs = 3 * 86_400_000

/** @throws what the system throws (rejects): the folder cannot be made or listed */
export async function openTopicRuleDestinations(
  dependencies: DestinationsDependencies,
  options: DestinationsOptions,
): Promise<TopicRuleDestinations> {
  const book = await openDestinationBook(dependencies, options.folder)
  const shownOf = createView(dependencies)
  const asking = createAsking(dependencies, book)
  const storedOf = (arn: string): StoredDestination => {
    const [, uuid = ''] = /\/http\/([0-9a-f-]{36})$/.exec(arn) ?? []
    const stored = book.byUuid(uuid)
    if (stored !== undefined && dependencies.arnOf(`http/${uuid}`) === arn) return stored
    // As on AWS for one that does not exist.
    const message = `Access to TopicRuleDestination '${arn.slice(0, 200)}' was denied`
    throw new SluiceError('UnauthorizedException', message)
  }
  const parts = { ...dependencies, book, shownOf, storedOf, asking }

  return {
    ...createCreation(parts, options),
    ...createUpdates(parts, options),
    get: (arn) => shownOf(storedOf(arn)),
    list: (query) => pageOfDestinations(book.all(), query, shownOf),
    disabledReason(confirmationUrl) {
      const stored = book.byUrl(confirmationUrl)
      if (stored === undefined) {
        return `there is no topic rule destination with the confirmationUrl ${confirmationUrl}`
      }
      if (stored.status === 'ENABLED') return undefined
      const { arn, status, statusReason = '' } = shownOf(stored)
      const which = `the topic rule destination ${arn} of ${confirmationUrl}`
      return `${which} is ${status}. ${statusReason}`.trim()
    },
    start: () => asking.start(),
    async close() {
      await asking.close()
      await book.idle()
    },
  }
}

interface Parts extends DestinationsDependencies {
  readonly book: DestinationBook
  readonly shownOf: (stored: StoredDestination) => TopicRuleDestination
  /** @throws SluiceError UnauthorizedException */
  readonly storedOf: (arn: string) => StoredDestination
  readonly asking: Asking
}

function createView({ clock, arnOf }: Pick<DestinationsDependencies, 'clock' | 'arnOf'>) {
  return (stored: StoredDestination): TopicRuleDestination => {
    const { uuid, confirmationUrl, createdMs, updatedMs, status, statusReason } = stored
    return {
      arn: arnOf(`http/${uuid}`),
      confirmationUrl,
      createdMs,
      updatedMs,
      ...(isLate(stored, clock)
        ? { status: 'ERROR', statusReason: 'The confirmation timed out.' }
        : { status, statusReason }),
    }
  }
}

/** Whether a confirmation that is waited for comes too late from now on. */
function isLate({ status, tokenExpiresMs }: StoredDestination, clock: Clock): boolean {
  return status === 'IN_PROGRESS' && clock.wallMs() >= tokenExpiresMs
}

interface Asking extends Pick<ConfirmationRequests, 'cancel' | 'close'> {
  /** Asks for the confirmation of a destination, when one is due. */
  ask(stored: StoredDestination): void
  start(): void
}

function createAsking(dependencies: DestinationsDependencies, book: DestinationBook): Asking {
  const { clock, logger, arnOf } = dependencies
  let hasStarted = false
  const requests = createConfirmationRequests({ ...dependencies, onAnswered: noteAnswer })

  async function noteAnswer(
    { uuid, confirmationToken, confirmationUrl }: ConfirmationRequest,
    problem: string | undefined,
  ): Promise<void> {
    const text = 'to confirm that it wants the records of rules'
    if (problem === undefined) logger.info({ confirmationUrl }, `an endpoint was asked ${text}`)
    else logger.warn({ confirmationUrl, problem }, `an endpoint could not be asked ${text}`)
    const statusReason =
      problem === undefined ? awaiting : `The request for a confirmation failed: ${problem}`
    await book.inTurn(async () => {
      const stored = book.byUuid(uuid)
      if (stored?.token !== confirmationToken || stored.status !== 'IN_PROGRESS') return
      const wasRequested = problem === undefined
      // The next start asks again when this cannot be written.
      await book
        .write({ ...stored, statusReason, wasRequested })
        .catch((thrown: unknown) => logger.error(messageOf(thrown)))
    })
  }

  function ask(stored: StoredDestination): void {
    const isDue = stored.status === 'IN_PROGRESS' && !stored.wasRequested
    if (!hasStarted || !isDue || isLate(stored, clock)) return
    const { uuid, confirmationUrl, token, confirmBase } = stored
    requests.ask({
      uuid,
      arn: arnOf(`http/${uuid}`),
      confirmationUrl,
      confirmationToken: token,
      enableUrl: `${dependencies.confirmBaseOf(confirmBase)}/confirmdestination/${token}`,
    })
  }

  return {
    ...requests,
    ask,
    start() {
      hasStarted = true
      for (const stored of book.all()) ask(stored)
    },
  }
}

const awaiting = 'Awaiting confirmation.'

/** The members of a destination that is to be confirmed; in the lab there is nobody to ask. */
function unconfirmed(
  { clock }: Pick<DestinationsDependencies, 'clock'>,
  { needsConfirmation }: DestinationsOptions,
) {
  const nowMs = clock.wallMs()
  return {
    status: needsConfirmation ? ('IN_PROGRESS' as const) : ('ENABLED' as const),
    statusReason: needsConfirmation ? awaiting : undefined,
    updatedMs: nowMs,
    token: randomBytes(32).toString('base64url'),
    tokenExpiresMs: nowMs + tokenValidMs,
    wasRequested: false,
  }
}

function createCreation(
  { book, shownOf, asking, clock, logger, arnOf, urlProblem }: Parts,
  options: DestinationsOptions,
): Pick<TopicRuleDestinations, 'create' | 'ensure'> {
  function refuseUnusable(confirmationUrl: string): void {
    const problem =
      confirmationUrl.length > confirmationUrlLengthMax
        ? `the URL has more than ${confirmationUrlLengthMax} characters`
        : urlProblem(confirmationUrl)
    if (problem !== undefined) throw invalidRequest(`confirmationUrl: ${problem}`)
    if (book.all().length < destinationsMax) return
    throw invalidRequest(`there are ${destinationsMax} destinations; more are not taken`)
  }

  async function createNow(confirmationUrl: string, confirmBase?: string) {
    refuseUnusable(confirmationUrl)
    const open = unconfirmed({ clock }, options)
    const stored = {
      uuid: randomUUID(),
      confirmationUrl,
      confirmBase,
      createdMs: open.updatedMs,
      ...open,
    }
    await book.write(stored)
    asking.ask(stored)
    return shownOf(stored)
  }

  return {
    create: (confirmationUrl, confirmBase) =>
      change(book, () => {
        const present = book.byUrl(confirmationUrl)
        if (present === undefined) return createNow(confirmationUrl, confirmBase)
        const resourceArn = arnOf(`http/${present.uuid}`)
        throw new SluiceError(
          'ResourceAlreadyExistsException',
          `the destination ${resourceArn} has this confirmationUrl already`,
          { details: { resourceId: present.uuid, resourceArn } },
        )
      }),
    async ensure(confirmationUrl) {
      try {
        // Rules have a bound of their own.
        await book.inTurn(async () => {
          if (book.byUrl(confirmationUrl) === undefined) await createNow(confirmationUrl)
        })
      } catch (thrown) {
        logger.error(
          { confirmationUrl, reason: messageOf(thrown) },
          'the topic rule destination of a rule could not be made: make it by hand',
        )
      }
    },
  }
}

function createUpdates(
  { book, shownOf, storedOf, asking, clock }: Parts,
  options: DestinationsOptions,
): Pick<TopicRuleDestinations, 'update' | 'delete' | 'confirm'> {
  async function setStatus(stored: StoredDestination, status: 'ENABLED' | 'DISABLED') {
    asking.cancel(stored.uuid)
    const updatedMs = clock.wallMs()
    await book.write({ ...stored, status, statusReason: undefined, updatedMs })
  }

  /** @throws SluiceError InvalidRequestException */
  function confirmable(token: string): StoredDestination {
    const stored = book.byToken(token)
    if (stored !== undefined && !isLate(stored, clock)) return stored
    throw invalidRequest('the confirmation token is unknown or has expired')
  }

  return {
    update: (arn, status, confirmBase) =>
      change(book, async () => {
        const stored = storedOf(arn)
        if (status !== 'IN_PROGRESS') {
          await setStatus(stored, wantedStatus(status, shownOf(stored).status))
          return
        }
        const base = confirmBase ?? stored.confirmBase
        const asked = { ...stored, ...unconfirmed({ clock }, options), confirmBase: base }
        await book.write(asked)
        asking.ask(asked)
      }),
    delete: (arn) =>
      change(book, async () => {
        const stored = storedOf(arn)
        await book.remove(stored)
        asking.cancel(stored.uuid)
      }),
    confirm: async (token) => {
      // Anyone may ask for this: a wrong token takes no turn.
      confirmable(token)
      await change(book, async () => {
        const stored = confirmable(token)
        // An endpoint may confirm twice, also after the destination was disabled.
        if (stored.status === 'IN_PROGRESS') await setStatus(stored, 'ENABLED')
      })
    },
  }
}

/** @throws SluiceError ConflictingResourceUpdateException (rejects) */
async function change<Result>(book: DestinationBook, work: () => Promise<Result>): Promise<Result> {
  if (book.changes() <= changesWaitingMax) return book.inTurn(async () => work())
  throw new SluiceError(
    'ConflictingResourceUpdateException',
    `${changesWaitingMax} other changes of destinations are waiting`,
  )
}

/** "You can only enable a destination that's in DISABLED status", and the reverse. */
function wantedStatus(wanted: string, present: DestinationStatus): 'ENABLED' | 'DISABLED' {
  if (wanted !== 'ENABLED' && wanted !== 'DISABLED') {
    throw invalidRequest(`status ${wanted.slice(0, 40)} is none of ENABLED, DISABLED, IN_PROGRESS`)
  }
  // That it has this status already is no error: a client may repeat its call.
  if (present === 'ENABLED' || present === 'DISABLED') return wanted
  throw invalidRequest(
    `the destination is ${present}: it has to be confirmed before it can be ${wanted}`,
  )
}
