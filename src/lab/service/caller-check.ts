import type { Clock } from '../../base/clock.ts'
import { verifySignature } from '../../sigv4/verify-signature.ts'
import type { RefusalReason, SigningKey } from '../../sigv4/verify-signature.ts'
import type { LabRequest } from '../wire/lab-http.ts'
import { ServiceError } from '../wire/service-error.ts'
import type { Sessions } from './role-sessions.ts'

/** The access key of the lab's only user. */
export interface LabKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export interface CallerCheckDependencies {
  readonly clock: Clock
  readonly region: string
  readonly keys: LabKeys
  /** Keys that AssumeRole gave out. */
  readonly sessions: Sessions
}

export type SignedService = 'kinesis' | 'sts'

/**
 * Who may call a strict lab: its user, and whoever holds the keys of a session. It resolves to
 * undefined, or to the error that the service answers with.
 */
export type CheckCaller = (
  service: SignedService,
  request: LabRequest,
) => Promise<ServiceError | undefined>

/** The same refusal has a name of its own in each protocol, and in STS's a status too. */
const codes: Readonly<Record<SignedService, Readonly<Record<RefusalReason, string>>>> = {
  kinesis: {
    missing: 'MissingAuthenticationTokenException',
    incomplete: 'IncompleteSignatureException',
    unknownKey: 'UnrecognizedClientException',
    expiredToken: 'ExpiredTokenException',
    skewed: 'InvalidSignatureException',
    mismatch: 'InvalidSignatureException',
  },
  sts: {
    missing: 'MissingAuthenticationToken',
    incomplete: 'IncompleteSignature',
    unknownKey: 'InvalidClientTokenId',
    expiredToken: 'ExpiredToken',
    skewed: 'SignatureDoesNotMatch',
    mismatch: 'SignatureDoesNotMatch',
  },
}

/** STS is a global service too, and is signed for then as if it stood here. */
const globalRegion = 'us-east-1'

export function createCallerCheck({
  clock,
  region,
  keys,
  sessions,
}: CallerCheckDependencies): CheckCaller {
  const findKey = (accessKeyId: string): SigningKey | undefined => {
    if (accessKeyId === keys.accessKeyId) return keys
    const session = sessions.get(accessKeyId)
    // The time of day may have been set since the session began: what counts is what is left of it.
    const leftMs = (session?.endsAtMs ?? 0) - clock.monotonicMs()
    return session && { ...session, expiresMs: clock.wallMs() + leftMs }
  }
  const regions: Readonly<Record<SignedService, readonly string[]>> = {
    kinesis: [region],
    sts: [region, globalRegion],
  }
  return async (service, request) => {
    const verification = await verifySignature(request, {
      service,
      regions: regions[service],
      nowMs: clock.wallMs(),
      findKey,
    })
    if (verification.isValid) return undefined
    return new ServiceError(codes[service][verification.reason], verification.message)
  }
}
