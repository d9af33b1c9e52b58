import { isIP } from 'node:net'

/** True for `localhost`, 127.0.0.0/8 and ::1, which only this machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** An address for clients on this machine: the loopback address for `0.0.0.0` and `::`. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
