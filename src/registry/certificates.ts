import { X509Certificate } from 'node:crypto'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import type { Clock } from '../base/clock.ts'
import { SluiceError, invalidRequest, messageOf } from '../base/errors.ts'
import type { CertificateIssuer } from '../identity/certificates/certificate-issuer.ts'
import { principalOf } from '../identity/policies/principal.ts'
import { createChanges } from './changes.ts'
import { pageOfNames } from './page-of-names.ts'
import type { PageQuery } from './page-of-names.ts'
import { LostRace } from './records.ts'
import type { OpenRecords, RecordForm, Records } from './records.ts'

/**
 * The certificates of the registry, in memory and on disk. Private keys are made here and kept
 * nowhere.
 *
 * A certificate that was deleted leaves its id until it expires: the authority that issued it would
 * still vouch for it, so it must not pass as one that the registry never knew.
 */
export interface Certificates {
  /** The status of a certificate; undefined of one that the registry does not know. */
  readonly statusOf: (certificateId: string) => CertificateStatus | undefined
  /** Whether it is there and was not deleted. */
  has(certificateId: string): boolean
  /** @throws SluiceError ResourceNotFoundException */
  get(certificateId: string): RegisteredCertificate
  /** @throws SluiceError InvalidRequestException: this server has no key of a CA (rejects) */
  createWithKeys(isActive: boolean): Promise<RegisteredCertificate & KeyTexts>
  /** @throws SluiceError InvalidRequestException: the request, or there is no key (rejects) */
  createFromRequest(request: string, isActive: boolean): Promise<RegisteredCertificate>
  /**
   * @throws SluiceError CertificateValidationException, ResourceAlreadyExistsException,
   *   CertificateStateException (rejects)
   */
  register(certificatePem: string, status: string | undefined): Promise<RegisteredCertificate>
  /** @throws SluiceError ResourceNotFoundException, InvalidRequestException (rejects) */
  setStatus(certificateId: string, status: string): Promise<void>
  /**
   * @param isForced removes it although policies are attached
   * @throws SluiceError ResourceNotFoundException, CertificateStateException,
   *   DeleteConflictException (rejects)
   */
  delete(certificateId: string, isForced: boolean): Promise<void>
  /** @throws SluiceError InvalidRequestException: the token */
  list(query: PageQuery): {
    readonly certificates: readonly RegisteredCertificate[]
    readonly token: string | undefined
  }
}

const changeableStatuses = ['ACTIVE', 'INACTIVE', 'REVOKED'] as const
type ChangeableStatus = (typeof changeableStatuses)[number]
type CertificateStatus = ChangeableStatus | 'DELETED'

interface KeyTexts {
  /** PEM, PKCS #1. */
  readonly privateKeyPem: string
  readonly publicKeyPem: string
}

const certificateSchema = Type.Object({
  certificateId: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  status: Type.Enum([...changeableStatuses, 'DELETED']),
  /** Empty once it is deleted. */
  certificatePem: Type.String({ maxLength: 65_536 }),
  /** All times are epoch milliseconds. */
  createdMs: Type.Number(),
  updatedMs: Type.Number(),
  validFromMs: Type.Number(),
  validToMs: Type.Number(),
  /** Rises with each change. */
  version: Type.Integer(),
})
export type RegisteredCertificate = Readonly<Static<typeof certificateSchema>>

export const certificateForm: RecordForm<typeof certificateSchema> = {
  schema: certificateSchema,
  nameOf: ({ certificateId }) => certificateId,
  what: 'a certificate',
}

interface CertificatesDependencies {
  readonly clock: Clock
  readonly openRecords: OpenRecords
  readonly arnOf: (resource: string) => string
  readonly issuer: CertificateIssuer
  /** Whether TLS takes a certificate that somebody else issued. */
  readonly isTrusted: (certificate: X509Certificate) => Promise<boolean>
  readonly thingsOf: (certificateId: string) => readonly string[]
  /** The names of the policies of a certificate. */
  readonly policiesOf: (certificateId: string) => Promise<readonly string[]>
  readonly detachPolicies: (certificateId: string) => Promise<void>
  /** A certificate may not be used any more: its connections end. */
  readonly onDeactivated: (certificateId: string) => void
}

/** With those that were deleted; each takes 2 KB of memory. */
const certificatesMax = 50_000
/** Of a certificate in PEM, as in AWS's model. */
const pemLengthMax = 65_536

/** @throws what the system throws (rejects): the folder cannot be made or listed */
export async function openCertificates(
  dependencies: CertificatesDependencies,
): Promise<Certificates> {
  const { clock, arnOf, issuer, isTrusted, onDeactivated } = dependencies
  const files = await dependencies.openRecords('certificates', certificateForm)
  const byId = new Map<string, RegisteredCertificate>()
  let isOpen = false
  files.follow((certificateId, record) => {
    if (record) byId.set(certificateId, record)
    else byId.delete(certificateId)
    if (isOpen && record?.status !== 'ACTIVE') onDeactivated(certificateId)
  })
  await removeOutdated(files, [...byId.values()], clock.wallMs())
  isOpen = true
  const changes = createChanges(files)

  const get = (certificateId: string) => presentIn(byId, certificateId)

  async function add(certificatePem: string, status: ChangeableStatus) {
    if (byId.size >= certificatesMax) {
      throw invalidRequest(`there are ${certificatesMax} certificates, and no more are taken`)
    }
    const record = recordOf(certificatePem, status, clock.wallMs())
    await files.write(record, byId.get(record.certificateId))
    return record
  }

  const change = (record: RegisteredCertificate, status: CertificateStatus) =>
    files.write(changed(record, status, clock.wallMs()), record)

  return {
    statusOf: (certificateId) => byId.get(certificateId)?.status,
    has: (certificateId) => (byId.get(certificateId)?.status ?? 'DELETED') !== 'DELETED',
    get,
    createWithKeys: (isActive) =>
      changes.run(async () => {
        const { certificatePem, ...keys } = await issuer.issueWithKeys()
        return { ...(await add(certificatePem, statusOf(isActive))), ...keys }
      }),
    createFromRequest: (request, isActive) =>
      changes.run(async () => add(await issuer.issueFor(request), statusOf(isActive))),
    register: (given, status) =>
      changes.run(async () => {
        const certificate = await readGiven(given, isTrusted)
        refuseRegistered(byId.get(principalOf(certificate)), arnOf)
        return add(certificate.toString(), registeredStatus(status))
      }),
    setStatus: (certificateId, status) =>
      changes.run(async () => {
        const record = get(certificateId)
        const wanted = changeableStatuses.find((each) => each === status)
        if (wanted === undefined) {
          throw invalidRequest(`newStatus must be one of ${changeableStatuses.join(', ')}`)
        }
        if (record.status !== wanted) await change(record, wanted)
      }),
    delete: (certificateId, isForced) =>
      changes.run(async () => {
        const record = get(certificateId)
        await refuseDeletion(record, isForced, dependencies)
        await dependencies.detachPolicies(record.certificateId)
        await change(record, 'DELETED')
      }),
    list: (query) => pageOfCertificates([...byId.values()], query),
  }
}

/** Removes the records of certificates that expired after they were deleted. */
async function removeOutdated(
  files: Pick<Records<RegisteredCertificate>, 'remove'>,
  records: readonly RegisteredCertificate[],
  nowMs: number,
): Promise<void> {
  for (const record of records) {
    const isOutdated = record.status === 'DELETED' && record.validToMs < nowMs
    // Another node that starts may do the same.
    if (isOutdated) await files.remove(record.certificateId, record).catch(passOverLostRace)
  }
}

function passOverLostRace(thrown: unknown): void {
  if (!(thrown instanceof LostRace)) throw thrown
}

/** @throws SluiceError ResourceNotFoundException */
function presentIn(
  byId: ReadonlyMap<string, RegisteredCertificate>,
  certificateId: string,
): RegisteredCertificate {
  const found = byId.get(certificateId.toLowerCase())
  if (found && found.status !== 'DELETED') return found
  throw new SluiceError(
    'ResourceNotFoundException',
    `The certificate ${certificateId} does not exist.`,
  )
}

const changed = (
  record: RegisteredCertificate,
  status: CertificateStatus,
  nowMs: number,
): RegisteredCertificate => ({
  ...record,
  status,
  certificatePem: status === 'DELETED' ? '' : record.certificatePem,
  updatedMs: nowMs,
  version: record.version + 1,
})

function recordOf(
  certificatePem: string,
  status: ChangeableStatus,
  nowMs: number,
): RegisteredCertificate {
  const { validFrom, validTo } = new X509Certificate(certificatePem)
  return {
    certificateId: principalOf(certificatePem),
    status,
    certificatePem,
    createdMs: nowMs,
    updatedMs: nowMs,
    validFromMs: Date.parse(validFrom),
    validToMs: Date.parse(validTo),
    version: 1,
  }
}

function pageOfCertificates(all: readonly RegisteredCertificate[], query: PageQuery) {
  const present = all.filter(({ status }) => status !== 'DELETED')
  const byAge = new Map(present.map((record) => [ageOrder(record), record]))
  const page = pageOfNames([...byAge.keys()].toSorted(), query)
  const certificates = page.names.flatMap((name) => byAge.get(name) ?? [])
  return { certificates, token: page.token }
}

/** Texts in the order of time. */
const ageOrder = ({ createdMs, certificateId }: RegisteredCertificate) =>
  `${String(createdMs).padStart(15, '0')} ${certificateId}`

const statusOf = (isActive: boolean): ChangeableStatus => (isActive ? 'ACTIVE' : 'INACTIVE')

/** AWS IoT registers a certificate as inactive unless another status is asked for. */
function registeredStatus(given: string | undefined): ChangeableStatus {
  if (given === undefined) return 'INACTIVE'
  if (given === 'ACTIVE' || given === 'INACTIVE') return given
  throw new SluiceError(
    'CertificateStateException',
    `a certificate cannot be registered as ${given}: ACTIVE and INACTIVE are taken`,
  )
}

/** @throws SluiceError CertificateValidationException (rejects) */
async function readGiven(
  given: string,
  isTrusted: CertificatesDependencies['isTrusted'],
): Promise<X509Certificate> {
  if (given.length > pemLengthMax) {
    throw invalid(`a certificate has at most ${pemLengthMax} characters`)
  }
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(given)
  } catch (thrown) {
    throw invalid(`certificatePem is not a certificate: ${messageOf(thrown)}`, thrown)
  }
  if (await isTrusted(certificate)) return certificate
  throw invalid('certificatePem was issued by none of the CAs in SLUICE_TLS_CA_FILE')
}

const invalid = (message: string, cause?: unknown) =>
  new SluiceError('CertificateValidationException', message, { cause })

async function refuseDeletion(
  { certificateId, status }: RegisteredCertificate,
  isForced: boolean,
  { thingsOf, policiesOf }: CertificatesDependencies,
): Promise<void> {
  if (status === 'ACTIVE') {
    throw new SluiceError(
      'CertificateStateException',
      `The certificate ${certificateId} is active: set it to INACTIVE before it is deleted.`,
    )
  }
  const [thing] = thingsOf(certificateId)
  const [policy] = isForced ? [] : await policiesOf(certificateId)
  const attached = thing === undefined ? policy && `the policy ${policy}` : `the thing ${thing}`
  if (attached === undefined) return
  throw new SluiceError(
    'DeleteConflictException',
    `The certificate ${certificateId} is attached to ${attached}: detach it first.`,
  )
}

/** @throws SluiceError ResourceAlreadyExistsException */
function refuseRegistered(
  present: RegisteredCertificate | undefined,
  arnOf: (resource: string) => string,
): void {
  if (!present || present.status === 'DELETED') return
  const { certificateId } = present
  throw new SluiceError(
    'ResourceAlreadyExistsException',
    `The certificate ${certificateId} is registered already.`,
    { details: { resourceId: certificateId, resourceArn: arnOf(`cert/${certificateId}`) } },
  )
}
