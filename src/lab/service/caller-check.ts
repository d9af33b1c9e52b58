import type { Clock } from '../../base/clock.ts'
import { verifySignature } from '../../sigv4/verify-signature.ts'
import type { RefusalReason, SigningKey } from '../../sigv4/verify-signature.ts'
import { isRegion } from '../streams/namespace.ts'
import { regionOf } from '../wire/lab-http.ts'
import type { LabRequest } from '../wire/lab-http.ts'
import { ServiceError } from '../wire/service-error.ts'
import type { RoleSessions } from './role-sessions.ts'

/** The access key of the lab's user. */
export interface LabKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

export interface CallerCheckDependencies {
  readonly clock: Clock
  readonly keys: LabKeys
  /** The keys that AssumeRole has issued. */
  readonly sessions: RoleSessions
}

export type SignedService = 'kinesis' | 'sts'

/**
 * Checks that a call of a strict lab is signed with the user's keys or with those of a session.
 *
 * @returns undefined, or the error for the response
 */
export type CheckCaller = (
  service: SignedService,
  request: LabRequest,
) => Promise<ServiceError | undefined>

/** Each protocol has its own code for a refusal; STS's codes also have their own status. */
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

export function createCallerCheck({ clock, keys, sessions }: CallerCheckDependencies): CheckCaller {
  const findKey = (accessKeyId: string): SigningKey | undefined => {
    if (accessKeyId === keys.accessKeyId) return keys
    const session = sessions.get(accessKeyId)
    // The remaining time is monotonic, because the time of day may have been changed meanwhile.
    const leftMs = (session?.endsAtMs ?? 0) - clock.monotonicMs()
    return session && { ...session, expiresMs: clock.wallMs() + leftMs }
  }
  return async (service, request) => {
    const signed = regionOf(request.headers)
    const verification = await verifySignature(request, {
      service,
      // Each region has its own streams, and all of them are here.
      regions: isRegion(signed) ? [signed] : [],
      nowMs: clock.wallMs(),
      findKey,
    })
    if (verification.isValid) return undefined
    return new ServiceError(codes[service][verification.reason], verification.message)
  }
}
