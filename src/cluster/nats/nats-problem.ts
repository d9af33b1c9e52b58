import { JetStreamApiError } from '@nats-io/jetstream'
import { errors } from '@nats-io/transport-node'
import { SluiceError, messageOf } from '../../base/errors.ts'

/**
 * What an error of a NATS client means. Most of them pass by themselves: servers start, elect a
 * leader, or are replaced. The others need a change by the operator.
 *
 * - `wait`: the same request may succeed later. Whether this one did is not known.
 * - `fault`: it cannot succeed until somebody changes something.
 */
type NatsProblem =
  | { readonly kind: 'wait'; readonly text: string }
  | { readonly kind: 'fault'; readonly error: SluiceError }

/** Error codes of the JetStream API (server/errors.json of nats-server). */
export const apiCodes = {
  accountResourcesExceeded: 10_002,
  noSuitablePeers: 10_005,
  temporarilyUnavailable: 10_008,
  notLeader: 10_009,
  insufficientResources: 10_023,
  memoryResourcesExceeded: 10_028,
  notEnabledForAccount: 10_039,
  noSuchSequence: 10_043,
  storageResourcesExceeded: 10_047,
  nameInUse: 10_058,
  streamNotFound: 10_059,
  subjectsOverlap: 10_065,
  wrongLastSequence: 10_071,
  replicasNotSupported: 10_074,
  notEnabled: 10_076,
  storeFailed: 10_077,
  duplicateInProcess: 10_158,
  subjectInProcess: 10_164,
  tooManyRequests: 10_167,
  batchIncomplete: 10_176,
  streamOffline: 10_194,
  memberChange: 10_202,
  tooManyBatches: 10_210,
} as const

const passing: ReadonlySet<number> = new Set([
  apiCodes.noSuitablePeers,
  apiCodes.temporarilyUnavailable,
  apiCodes.notLeader,
  apiCodes.streamNotFound,
  apiCodes.duplicateInProcess,
  apiCodes.subjectInProcess,
  apiCodes.tooManyRequests,
  apiCodes.batchIncomplete,
  apiCodes.streamOffline,
  apiCodes.memberChange,
  apiCodes.tooManyBatches,
])

/** Node.js' codes for certificates and handshakes that will not get better by waiting. */
const tlsCodes =
  /^(ERR_SSL_|ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET_ISSUER|VERIFY)|HOSTNAME_MISMATCH)/

export function misconfigured(text: string, cause?: unknown): SluiceError {
  return new SluiceError('ClusterMisconfigured', text, { cause })
}

/** Why a connection could not be made. */
export function problemOfConnecting(thrown: unknown): NatsProblem {
  const text = messageOf(thrown)
  if (isRefusedLogin(thrown)) {
    return fault(
      `NATS refused the login (${text}): set SLUICE_NATS_CREDENTIALS_FILE, SLUICE_NATS_NKEY_FILE ` +
        'or a user in SLUICE_NATS_URL as the servers expect it',
      thrown,
    )
  }
  if (/does not support 'tls'|'tls' is not available/.test(text)) {
    return fault(
      'The NATS server has no TLS: add `tls {...}` to its configuration, or use nats:// in ' +
        'SLUICE_NATS_URL without SLUICE_NATS_CA_FILE',
      thrown,
    )
  }
  if (tlsCodes.test(codeOf(thrown))) {
    return fault(
      `TLS with the NATS server failed (${text}): check SLUICE_NATS_CA_FILE, ` +
        'SLUICE_NATS_CERT_FILE and the names in the certificate of the server',
      thrown,
    )
  }
  // A server that refuses over TLS may close the connection before its reason is read.
  const hasEnded = thrown instanceof errors.TimeoutError || codeOf(thrown) === 'ECONNRESET'
  const hint = ', which is also what a refused login or a missing client certificate looks like'
  return { kind: 'wait', text: hasEnded ? `${text}${hint}` : text }
}

function isRefusedLogin(thrown: unknown): boolean {
  if (thrown instanceof errors.UserAuthenticationExpiredError) return true
  // A server that is busy answers too late to its own question.
  return thrown instanceof errors.AuthorizationError && !/timeout/i.test(thrown.message)
}

/** Why a request to JetStream failed. */
export function problemOfRequest(thrown: unknown): NatsProblem {
  if (thrown instanceof SluiceError) return { kind: 'fault', error: thrown }
  const code = apiCodeOf(thrown)
  const text = messageOf(thrown)
  if (code === apiCodes.notEnabledForAccount) {
    return fault(
      'The NATS account has no JetStream: add `jetstream: enabled` to the account in the ' +
        'configuration of the servers',
      thrown,
    )
  }
  if (code === apiCodes.notEnabled) return fault(jetStreamIsOff, thrown)
  if (code !== undefined && !passing.has(code)) {
    return fault(`JetStream refused a request: ${text} (${code})`, thrown)
  }
  const permission = [thrown, causeOf(thrown)].find(
    (one) => one instanceof errors.PermissionViolationError,
  )
  if (permission !== undefined) {
    return fault(
      `The NATS user lacks a permission: allow ${permission.operation} of ${permission.subject}`,
      thrown,
    )
  }
  return { kind: 'wait', text }
}

export const jetStreamIsOff =
  'JetStream is off: add `jetstream { store_dir: "...", sync_interval: always }` to the ' +
  'configuration of each NATS server'

/** @returns the code of the JetStream API, such as 10071; undefined for other errors */
export function apiCodeOf(thrown: unknown): number | undefined {
  const answer = [thrown, causeOf(thrown)].find((one) => one instanceof JetStreamApiError)
  return answer?.code
}

/** Whether nobody listens to the subject of a request: JetStream is off, or has no leader. */
export function isWithoutResponder(thrown: unknown): boolean {
  return [thrown, causeOf(thrown)].some(
    (one) => one instanceof errors.RequestError && one.isNoResponders(),
  )
}

function causeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? thrown.cause : undefined
}

function codeOf(thrown: unknown): string {
  for (const one of [thrown, causeOf(thrown)]) {
    if (one instanceof Error && 'code' in one && typeof one.code === 'string') return one.code
  }
  return ''
}

function fault(text: string, cause: unknown): NatsProblem {
  return { kind: 'fault', error: misconfigured(text, cause) }
}
