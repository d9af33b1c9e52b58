import { isIP } from 'node:net'
import { SluiceError } from './errors.ts'

/**
 * Without authentication a web page must not reach this port through the browser of someone who
 * may. Two ways lead there, and each is closed by a header that a page cannot choose:
 * - another name that resolves to this machine (DNS rebinding): `Host` must be an address, or a
 *   name that is known to be ours;
 * - a request from a page of another origin: `Origin`, which browsers add, must be that of `Host`.
 */
interface OriginGuardOptions {
  /** The name or address that the server listens on. */
  readonly host: string
  /** The operator answers for the network: any `Host` is taken. */
  readonly insecure: boolean
}

export interface RequestOrigin {
  readonly host: string | undefined
  readonly origin: string | undefined
}

/** `name`, `name:port`, `192.0.2.1:port` or `[2001:db8::1]:port` (RFC 9110, Host). */
const hostForm = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i

/** @throws SluiceError AccessDeniedException */
export function guardOrigin({ host, origin }: RequestOrigin, options: OriginGuardOptions): void {
  if (!options.insecure && !isOwnHost(host, options.host)) {
    throw denied(
      `Host ${host ?? '(none)'} is not this server: use its address or localhost, ` +
        'or set SLUICE_INSECURE=1',
    )
  }
  if (origin === undefined) return
  const own = host?.toLowerCase()
  // A proxy in front may speak TLS: the scheme is its business, host and port are compared.
  if (origin.toLowerCase() === `http://${own}` || origin.toLowerCase() === `https://${own}`) return
  throw denied(`requests of pages from ${origin} are not taken`)
}

function isOwnHost(host: string | undefined, configured: string): boolean {
  const form = hostForm.exec(host ?? '')
  if (!form) return false
  const [, bracketed, plain = ''] = form
  if (bracketed !== undefined) return isIP(bracketed) === 6
  const name = plain.toLowerCase()
  return isIP(name) === 4 || name === 'localhost' || name === configured.toLowerCase()
}

function denied(message: string): SluiceError {
  return new SluiceError('AccessDeniedException', message)
}
