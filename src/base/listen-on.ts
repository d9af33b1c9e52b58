import type { Server } from 'node:net'
import { SluiceError, messageOf } from './errors.ts'

export interface ListenAddress {
  readonly host: string
  /** 0 asks for a free port. */
  readonly port: number
}

/** Whose port it is, for the message to the operator. */
interface PortOwner {
  /** The subject of the sentence: `MQTT`. */
  readonly title: string
  /** Where another port is chosen: `SLUICE_MQTT_HOST or SLUICE_MQTT_PORT`. */
  readonly variables: string
}

/**
 * Makes a server listen.
 *
 * @returns the port that is listened on, also where 0 asked for a free one
 * @throws SluiceError PortUnavailable (rejects)
 */
export function listenOn(
  server: Server,
  address: ListenAddress,
  owner: PortOwner,
): Promise<number> {
  const { host, port } = address
  return new Promise((resolve, reject) => {
    const fail = (thrown: unknown) => reject(portUnavailable(thrown, address, owner))
    server.once('error', fail)
    server.listen({ host, port }, () => {
      server.off('error', fail)
      resolve(portOf(server) ?? port)
    })
  })
}

/** @returns the port that a server listens on; undefined while it does not */
export function portOf(server: Server): number | undefined {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : undefined
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is in use',
  EACCES: 'this user may not listen there',
  EADDRNOTAVAIL: 'this machine does not have that address',
}

/** @param thrown what the system said of listening */
export function portUnavailable(
  thrown: unknown,
  { host, port }: ListenAddress,
  { title, variables }: PortOwner,
): SluiceError {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  const reason = reasons[code] ?? messageOf(thrown)
  return new SluiceError(
    'PortUnavailable',
    `${title} cannot listen on ${host}:${port}: ${reason} (set ${variables} to another)`,
    { cause: thrown },
  )
}
