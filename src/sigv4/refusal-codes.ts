import type { ErrorCode } from '../base/errors.ts'
import type { RefusalReason } from './verify-signature.ts'

/** What AWS IoT calls the reasons for which a signature is refused. */
export const refusalCodes: Readonly<Record<RefusalReason, ErrorCode>> = Object.freeze({
  missing: 'MissingAuthenticationTokenException',
  incomplete: 'IncompleteSignatureException',
  unknownKey: 'UnrecognizedClientException',
  expiredToken: 'ExpiredTokenException',
  skewed: 'InvalidSignatureException',
  mismatch: 'InvalidSignatureException',
})
