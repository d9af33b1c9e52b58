import type { Clock } from '../../base/clock.ts'
import { defined } from '../../base/defined.ts'
import { ServiceError } from '../wire/service-error.ts'
import { isObject } from '../wire/validation.ts'

/** Who a token of a web identity is for, by the names of the API. */
interface WebIdentity {
  readonly SubjectFromWebIdentityToken: string
  readonly Audience?: string
  readonly Provider?: string
}

/**
 * Reads a token without verifying its signature, because the lab knows no identity provider.
 *
 * @param provider the provider of an OAuth 2.0 access token, which cannot be read; undefined for a
 *   token of OpenID Connect
 * @throws ServiceError InvalidIdentityToken for a text that is no JSON Web Token;
 *   ExpiredTokenException
 */
export function readWebIdentity(
  { clock }: { readonly clock: Pick<Clock, 'wallMs'> },
  token: string,
  provider: string | undefined,
): WebIdentity {
  if (provider !== undefined) return { SubjectFromWebIdentityToken: 'lab', Provider: provider }
  const claims = claimsIn(token)
  const { sub, aud, iss, exp } = claims ?? {}
  if (typeof sub !== 'string') {
    const message = 'The ID Token provided is not a valid JWT with a subject.'
    throw new ServiceError('InvalidIdentityToken', message)
  }
  const nowSeconds = clock.wallMs() / 1000
  if (typeof exp === 'number' && exp <= nowSeconds) {
    throw new ServiceError(
      'ExpiredTokenException',
      `Token expired: now is ${nowSeconds}, which must be before the expiration ${exp}.`,
    )
  }
  const audience: unknown = Array.isArray(aud) ? aud[0] : aud
  return {
    SubjectFromWebIdentityToken: sub,
    ...defined({ Audience: textOf(audience), Provider: textOf(iss) }),
  }
}

const textOf = (claim: unknown) => (typeof claim === 'string' ? claim : undefined)

function claimsIn(token: string): Readonly<Record<string, unknown>> | undefined {
  const [, payload, signature] = token.split('.')
  if (payload === undefined || signature === undefined) return undefined
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return isObject(claims) ? claims : undefined
  } catch {
    return undefined
  }
}
