import { isIP } from 'node:net'

/** True for `localhost`, 127.0.0.0/8 and ::1: what only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
