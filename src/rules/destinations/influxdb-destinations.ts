import { randomUUID } from 'node:crypto'
import type { InfluxdbConfiguration } from '../../aws/http/http-access.ts'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, invalidRequest } from '../../base/errors.ts'
import type { DestinationBook } from './destination-book.ts'
import { isInfluxdb } from './destination-files.ts'
import type { StoredDestination, StoredInfluxdbDestination } from './destination-files.ts'

/** The part of the topic rule destinations that stands for InfluxDB. */
interface InfluxdbDestinations {
  /** @throws SluiceError ResourceAlreadyExistsException, InvalidRequestException (rejects) */
  create(configuration: InfluxdbConfiguration): Promise<StoredInfluxdbDestination>
  /**
   * Sets the status. `ENABLED` and `IN_PROGRESS` ask the InfluxDB anew, unless it is enabled
   * already.
   *
   * @throws SluiceError InvalidRequestException, UnauthorizedException (rejects)
   */
  update(stored: StoredInfluxdbDestination, status: string): Promise<void>
  /** Ends what is asked of an InfluxDB. */
  close(): void
}

export interface InfluxdbDestinationsDependencies {
  /** Asks an InfluxDB. @returns why it cannot be used. Absent: nobody is asked, as in the lab */
  readonly probeInfluxdb?:
    | ((configuration: InfluxdbConfiguration, signal: AbortSignal) => Promise<string | undefined>)
    | undefined
  /** What is wrong with a URL, as the end of a sentence. */
  readonly influxdbUrlProblem: (url: string) => string | undefined
  readonly clock: Clock
}

interface Parts extends InfluxdbDestinationsDependencies {
  readonly book: DestinationBook
  readonly arnOfStored: (stored: StoredDestination) => string
  /** @throws SluiceError InvalidRequestException: there are as many as may be */
  readonly refuseMore: () => void
  /** @throws SluiceError UnauthorizedException: it is there no more */
  readonly storedOf: (arn: string) => StoredDestination
}

/** Destinations that are asked at a time. */
const probesMax = 16

export function createInfluxdbDestinations(parts: Parts): InfluxdbDestinations {
  const { book, clock, arnOfStored, storedOf, refuseMore } = parts
  const { statusOf, close } = createStatusOf(parts)

  function refuseUnusable(influxdb: InfluxdbConfiguration): void {
    const problem = parts.influxdbUrlProblem(influxdb.endpoint)
    if (problem !== undefined) throw invalidRequest(`endpoint: ${problem}`)
    const same = book.all().find((each) => isInfluxdb(each) && isSame(each.influxdb, influxdb))
    if (same === undefined) {
      refuseMore()
      return
    }
    const resourceArn = arnOfStored(same)
    throw new SluiceError(
      'ResourceAlreadyExistsException',
      `the destination ${resourceArn} has this influxDBConfiguration already`,
      { details: { resourceId: same.uuid, resourceArn } },
    )
  }

  async function setStatus(arn: string, status: StatusOfAnswer): Promise<void> {
    await book.change(async () => {
      // It may have been deleted while the InfluxDB was asked.
      const stored = storedOf(arn)
      if (isInfluxdb(stored)) {
        await book.write({ ...stored, ...status, updatedMs: clock.wallMs() })
      }
    })
  }

  return {
    async create(influxdb) {
      refuseUnusable(influxdb)
      const status = await statusOf(influxdb)
      return book.change(async () => {
        refuseUnusable(influxdb)
        const nowMs = clock.wallMs()
        const times = { createdMs: nowMs, updatedMs: nowMs }
        const stored = { uuid: randomUUID(), influxdb, ...times, ...status }
        await book.write(stored)
        return stored
      })
    },
    async update(stored, status) {
      const arn = arnOfStored(stored)
      if (status === 'ENABLED' && stored.status === 'ENABLED') return
      if (status === 'ENABLED' || status === 'IN_PROGRESS') {
        await setStatus(arn, await statusOf(stored.influxdb))
        return
      }
      if (status !== 'DISABLED') {
        throw invalidRequest(
          `status ${status.slice(0, 40)} is none of ENABLED, DISABLED, IN_PROGRESS`,
        )
      }
      if (stored.status === 'ERROR') {
        throw invalidRequest('the destination is ERROR: it has to be ENABLED before DISABLED')
      }
      await setStatus(arn, { status, statusReason: undefined })
    },
    close,
  }
}

type StatusOfAnswer = Pick<StoredInfluxdbDestination, 'status' | 'statusReason'>

/** Makes the function that asks an InfluxDB, outside of the turn of changes. */
function createStatusOf({ probeInfluxdb }: InfluxdbDestinationsDependencies) {
  const ending = new AbortController()
  let probes = 0

  return {
    /** @throws SluiceError ConflictingResourceUpdateException (rejects): many are being asked */
    statusOf: async (influxdb: InfluxdbConfiguration): Promise<StatusOfAnswer> => {
      const enabled = { status: 'ENABLED', statusReason: undefined } as const
      if (probeInfluxdb === undefined) return enabled
      if (probes === probesMax) {
        const message = `${probesMax} other destinations of InfluxDB are being asked`
        throw new SluiceError('ConflictingResourceUpdateException', message)
      }
      probes += 1
      try {
        const problem = await probeInfluxdb(influxdb, ending.signal)
        return problem === undefined ? enabled : { status: 'ERROR', statusReason: problem }
      } finally {
        probes -= 1
      }
    },
    close: () => ending.abort(),
  }
}

function isSame(one: InfluxdbConfiguration, other: InfluxdbConfiguration): boolean {
  const { secretType: oneType = 'SecretString', ...ofOne } = one
  const { secretType: otherType = 'SecretString', ...ofOther } = other
  const members = ['endpoint', 'influxDBVersion', 'secretId', 'secretKey'] as const
  return oneType === otherType && members.every((name) => ofOne[name] === ofOther[name])
}
