import type { ServerInfo } from '@nats-io/transport-node'

/** Atomic batches and their fixes; the tests run against this version and a newer one. */
const versionMin = [2, 14] as const
/** A dead letter is as large as its record, and a progress message holds the rows of a ledger. */
export const payloadBytesMin = 8 * 1_024 * 1_024

/**
 * What is wrong with a server, as far as it tells each client.
 *
 * @returns one line that says what to change; undefined when nothing is
 */
export function faultOfServer(
  info: Pick<ServerInfo, 'version' | 'max_payload' | 'server_name'>,
): string | undefined {
  const server = `NATS server ${info.server_name}`
  if (isOlder(info.version)) {
    return `${server} has version ${info.version}: upgrade it to ${versionMin.join('.')} or newer`
  }
  if (info.max_payload < payloadBytesMin) {
    return (
      `${server} takes messages of at most ${info.max_payload} bytes: set \`max_payload: 8MB\` ` +
      'in the configuration of each server'
    )
  }
  return undefined
}

export function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0)
  return major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1])
}
