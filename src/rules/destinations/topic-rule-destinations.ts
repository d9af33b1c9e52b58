import { randomBytes, randomUUID } from 'node:crypto'
import type { HttpAccess, InfluxdbConfiguration } from '../../aws/http/http-access.ts'
import type { HttpPoster } from '../../aws/http/http-poster.ts'
import { SluiceError, invalidRequest, messageOf } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { createConfirmationRequests } from './confirmation-requests.ts'
import type { ConfirmationRequest, ConfirmationRequests } from './confirmation-requests.ts'
import { createDestinationBook, openDestinationBook } from './destination-book.ts'
import type { DestinationBook, DestinationRecords } from './destination-book.ts'
import { isInfluxdb } from './destination-files.ts'
import type { StoredDestination, StoredHttpDestination } from './destination-files.ts'
import { createInfluxdbDestinations } from './influxdb-destinations.ts'
import type { InfluxdbDestinationsDependencies } from './influxdb-destinations.ts'
import { pageOfDestinations } from './page-of-destinations.ts'
import type { DestinationPage, DestinationQuery } from './page-of-destinations.ts'
import { createDestinationView, disabledText, isLate } from './shown-destination.ts'
import type {
  DestinationStatus,
  DestinationView,
  HttpDestination,
  InfluxdbDestination,
  TopicRuleDestination,
} from './shown-destination.ts'

/**
 * The web services that have agreed to get the records of HTTP actions, and the InfluxDBs that take
 * the token of an influxDB action. A change is on disk before it holds.
 */
export interface TopicRuleDestinations {
  /**
   * @param confirmBase the URL of the HTTP API as the caller knows it
   * @throws SluiceError ResourceAlreadyExistsException, InvalidRequestException (rejects)
   */
  create(confirmationUrl: string, confirmBase?: string): Promise<HttpDestination>
  /** @throws SluiceError ResourceAlreadyExistsException, InvalidRequestException (rejects) */
  createInfluxdb(configuration: InfluxdbConfiguration): Promise<InfluxdbDestination>
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
  readonly influxdbOf: HttpAccess['influxdbOf']
  /** Asks for the confirmations that are due: this server can be reached now. */
  start(): void
  close(): Promise<void>
}

interface DestinationsDependencies extends InfluxdbDestinationsDependencies {
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
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
}

interface DestinationsOptions {
  readonly folder: string
  /** In place of the folder, what nodes of a cluster share. */
  readonly records?: DestinationRecords | undefined
  /** The lab enables all of them at once, and asks nobody. */
  readonly needsConfirmation: boolean
}

/** AWS's quota, and the bound of what is kept here. */
const destinationsMax = 1_000
const confirmationUrlLengthMax = 2_000
/** AWS IoT developer guide: a token is valid for three days. */
const tokenValidMs = 3 * 86_400_000

/** @throws what the system throws (rejects): the folder cannot be made or listed */
export async function openTopicRuleDestinations(
  dependencies: DestinationsDependencies,
  options: DestinationsOptions,
): Promise<TopicRuleDestinations> {
  const book = options.records
    ? createDestinationBook(options.records)
    : await openDestinationBook(dependencies, options.folder)
  const view = createDestinationView(dependencies)
  const asking = createAsking(dependencies, book)
  const find = (arn: string): StoredDestination | undefined => {
    const stored = book.byUuid(/[0-9a-f-]{36}$/.exec(arn)?.[0] ?? '')
    return stored !== undefined && view.arnOfStored(stored) === arn ? stored : undefined
  }
  const storedOf = (arn: string): StoredDestination => {
    const stored = find(arn)
    if (stored !== undefined) return stored
    // As on AWS for one that does not exist.
    const message = `Access to TopicRuleDestination '${arn.slice(0, 200)}' was denied`
    throw new SluiceError('UnauthorizedException', message)
  }
  const parts = {
    ...dependencies,
    book,
    ...view,
    find,
    storedOf,
    asking,
    refuseMore() {
      if (book.all().length < destinationsMax) return
      throw invalidRequest(`there are ${destinationsMax} destinations; more are not taken`)
    },
  }
  const influxdb = createInfluxdbDestinations(parts)

  return {
    ...createCreation(parts, options),
    ...createUpdates({ ...parts, influxdb }, options),
    createInfluxdb: async (configuration) => view.shownOf(await influxdb.create(configuration)),
    get: (arn) => view.shownOf(storedOf(arn)),
    list: (query) => pageOfDestinations(book.all(), query, (stored) => view.shownOf(stored)),
    disabledReason(confirmationUrl) {
      const stored = book.byUrl(confirmationUrl)
      if (stored === undefined) {
        return `there is no topic rule destination with the confirmationUrl ${confirmationUrl}`
      }
      if (stored.status === 'ENABLED') return undefined
      return disabledText(view.shownOf(stored), confirmationUrl)
    },
    influxdbOf(arn) {
      const stored = find(arn)
      if (stored === undefined || !isInfluxdb(stored)) {
        return { disabledReason: `there is no topic rule destination ${arn}` }
      }
      if (stored.status === 'ENABLED') return stored.influxdb
      return { disabledReason: disabledText(view.shownOf(stored), stored.influxdb.endpoint) }
    },
    start: () => asking.start(),
    async close() {
      influxdb.close()
      await asking.close()
      await book.idle()
    },
  }
}

interface Parts extends DestinationsDependencies {
  readonly book: DestinationBook
  readonly shownOf: DestinationView['shownOf']
  readonly arnOfStored: DestinationView['arnOfStored']
  /** @throws SluiceError InvalidRequestException: there are as many as may be */
  readonly refuseMore: () => void
  readonly find: (arn: string) => StoredDestination | undefined
  /** @throws SluiceError UnauthorizedException */
  readonly storedOf: (arn: string) => StoredDestination
  readonly asking: Asking
}

interface Asking extends Pick<ConfirmationRequests, 'cancel' | 'close'> {
  /** Asks for the confirmation of a destination, when one is due. */
  ask(stored: StoredHttpDestination): void
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
    const note = async () => {
      const stored = book.byToken(confirmationToken)
      if (stored?.uuid !== uuid || stored.status !== 'IN_PROGRESS') return
      await book.write({ ...stored, statusReason, wasRequested: problem === undefined })
    }
    // The next start asks again when this cannot be written.
    await book.inTurn(note).catch((thrown: unknown) => logger.error(messageOf(thrown)))
  }

  function ask(stored: StoredHttpDestination): void {
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

  // Another node may have confirmed or deleted what this one asks for.
  book.onChange((uuid) => {
    if (book.byUuid(uuid)?.status !== 'IN_PROGRESS') requests.cancel(uuid)
  })
  return {
    ...requests,
    ask,
    start() {
      hasStarted = true
      for (const stored of book.all()) if (!isInfluxdb(stored)) ask(stored)
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
  { book, shownOf, asking, clock, logger, arnOfStored, refuseMore, urlProblem }: Parts,
  options: DestinationsOptions,
): Pick<TopicRuleDestinations, 'create' | 'ensure'> {
  function refuseUnusable(confirmationUrl: string): void {
    const problem =
      confirmationUrl.length > confirmationUrlLengthMax
        ? `the URL has more than ${confirmationUrlLengthMax} characters`
        : urlProblem(confirmationUrl)
    if (problem !== undefined) throw invalidRequest(`confirmationUrl: ${problem}`)
    refuseMore()
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
      book.change(() => {
        const present = book.byUrl(confirmationUrl)
        if (present === undefined) return createNow(confirmationUrl, confirmBase)
        const resourceArn = arnOfStored(present)
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
        // Another node was faster.
        if (book.byUrl(confirmationUrl) !== undefined) return
        logger.error(
          { confirmationUrl, reason: messageOf(thrown) },
          'the topic rule destination of a rule could not be made: make it by hand',
        )
      }
    },
  }
}

function createUpdates(
  {
    book,
    shownOf,
    find,
    storedOf,
    asking,
    clock,
    influxdb,
  }: Parts & { readonly influxdb: ReturnType<typeof createInfluxdbDestinations> },
  options: DestinationsOptions,
): Pick<TopicRuleDestinations, 'update' | 'delete' | 'confirm'> {
  async function setStatus(stored: StoredHttpDestination, status: 'ENABLED' | 'DISABLED') {
    asking.cancel(stored.uuid)
    const updatedMs = clock.wallMs()
    await book.write({ ...stored, status, statusReason: undefined, updatedMs })
  }

  async function updateNow(stored: StoredHttpDestination, status: string, confirmBase?: string) {
    if (status !== 'IN_PROGRESS') {
      await setStatus(stored, wantedStatus(status, shownOf(stored).status))
      return
    }
    const base = confirmBase ?? stored.confirmBase
    const asked = { ...stored, ...unconfirmed({ clock }, options), confirmBase: base }
    await book.write(asked)
    asking.ask(asked)
  }

  /** @throws SluiceError InvalidRequestException */
  function confirmable(token: string): StoredHttpDestination {
    const stored = book.byToken(token)
    if (stored !== undefined && !isLate(stored, clock)) return stored
    throw invalidRequest('the confirmation token is unknown or has expired')
  }

  return {
    async update(arn, status, confirmBase) {
      await book.caughtUp()
      const found = find(arn)
      if (found !== undefined && isInfluxdb(found)) {
        await influxdb.update(found, status)
        return
      }
      await book.change(async () => {
        const stored = storedOf(arn)
        if (!isInfluxdb(stored)) await updateNow(stored, status, confirmBase)
      })
    },
    delete: (arn) =>
      book.change(async () => {
        const stored = storedOf(arn)
        await book.remove(stored)
        if (!isInfluxdb(stored)) asking.cancel(stored.uuid)
      }),
    confirm: async (token) => {
      await book.caughtUp()
      // Anyone may ask for this: a wrong token takes no turn.
      confirmable(token)
      await book.change(async () => {
        const stored = confirmable(token)
        // An endpoint may confirm twice, also after the destination was disabled.
        if (stored.status === 'IN_PROGRESS') await setStatus(stored, 'ENABLED')
      })
    },
  }
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
