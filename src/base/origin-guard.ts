import { isIP } from 'node:net'
import { SluiceError } from './errors.ts'

/**
 * Protects a port without authentication from web pages in a browser on this machine or network. A
 * page has two ways to reach the port, and a header that it cannot choose closes each:
 * - a name that resolves to this machine (DNS rebinding): `Host` must be an address or the
 *   configured name;
 * - a request from a page of another origin: `Origin`, which browsers add, must match `Host`.
 */
interface OriginGuardOptions {
  /** The name or address that the server listens on. */
  readonly host: string
  /** Accepts any `Host`, because the operator is responsible for the network. */
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
  // A proxy in front may terminate TLS, so only host and port are compared.
  if (origin.toLowerCase() === `http://${own}` || origin.toLowerCase() === `https://${own}`) return
  throw denied(`requests from web pages of ${origin} are refused`)
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
