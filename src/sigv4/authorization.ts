/** The content of the `Authorization` header of a signed request, with the time of signing. */
export interface Authorization {
  readonly accessKeyId: string
  readonly scope: {
    /** `YYYYMMDD`. */
    readonly date: string
    readonly region: string
    readonly service: string
  }
  /** In lower case. */
  readonly signedHeaders: ReadonlySet<string>
  /** As sent: not checked to be 64 hexadecimal digits. */
  readonly signature: string
  /** As sent: `20260101T000000Z`. */
  readonly signedAt: string
  /** The same in epoch milliseconds. */
  readonly signedMs: number
}

interface UnreadableAuthorization {
  readonly reason: 'missing' | 'incomplete'
  readonly message: string
}

const parameterNames = ['Credential', 'Signature', 'SignedHeaders'] as const
const algorithm = 'AWS4-HMAC-SHA256'

/** @param headers names in lower case */
export function parseAuthorization(
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Authorization | UnreadableAuthorization {
  const { authorization, 'x-amz-date': signedAt } = headers
  if (typeof authorization !== 'string' || authorization === '') {
    return { reason: 'missing', message: 'Request is missing Authentication Token' }
  }
  const parameters = parametersOf(authorization)
  const missing: string[] = parameterNames
    .filter((name) => !parameters.get(name))
    .map((name) => `Authorization header requires '${name}' parameter.`)
  if (typeof signedAt !== 'string') {
    missing.push("Authorization header requires existence of a 'X-Amz-Date' header.")
  }
  if (missing.length > 0 || typeof signedAt !== 'string') return incomplete(missing.join(' '))

  const signedMs = timeOf(signedAt)
  if (signedMs === undefined) {
    return incomplete(`Date must be in ISO-8601 'basic format'. Got '${signedAt}'.`)
  }
  const credential = parameters.get('Credential') ?? ''
  const [accessKeyId, date, region, service, terminator, ...more] = credential.split('/')
  if (!accessKeyId || !date || !region || !service || terminator !== scopeEnd || more.length > 0) {
    return incomplete(
      'Credential must have exactly 5 slash-delimited elements, ' +
        `keyid/date/region/service/${scopeEnd}, got '${credential}'.`,
    )
  }
  return {
    accessKeyId,
    scope: { date, region, service },
    signedHeaders: new Set((parameters.get('SignedHeaders') ?? '').toLowerCase().split(';')),
    signature: parameters.get('Signature') ?? '',
    signedAt,
    signedMs,
  }
}

const scopeEnd = 'aws4_request'

/** The parameters by name; empty for a header of another scheme. */
function parametersOf(authorization: string): ReadonlyMap<string, string> {
  const [scheme, ...rest] = authorization.trim().split(/\s+/)
  if (scheme !== algorithm) return new Map()
  return new Map(
    rest
      .join('')
      .split(',')
      .map((parameter) => {
        const [name = '', ...value] = parameter.split('=')
        return [name, value.join('=')]
      }),
  )
}

/** Epoch milliseconds of `YYYYMMDDTHHMMSSZ`; undefined for anything else. */
function timeOf(text: string): number | undefined {
  const digits = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (!digits) return undefined
  const [, year, month, day, hour, minute, second] = digits
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(ms) ? undefined : ms
}

const incomplete = (message: string): UnreadableAuthorization => ({ reason: 'incomplete', message })
