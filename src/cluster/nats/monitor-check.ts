import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { NatsDependencies } from './connection.ts'
import { misconfigured } from './nats-problem.ts'
import { faultOfServer } from './server-check.ts'

/** What `/varz` of a monitoring port tells. */
interface ServerVariables {
  readonly server_name?: string
  readonly version?: string
  readonly max_payload?: number
  readonly jetstream?: { readonly config?: { readonly sync_always?: boolean } }
}

const answerMsMax = 5_000

/**
 * Checks each server by its monitoring port. A client sees neither `sync_interval` nor servers that
 * it is not connected to, so without these ports the log warns that nobody has checked.
 *
 * @throws SluiceError ClusterMisconfigured: one line that says what to change
 */
export async function checkMonitors(
  { logger, clock }: Pick<NatsDependencies, 'logger' | 'clock'>,
  urls: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (urls.length === 0) {
    logger.warn(
      {},
      'nobody has checked that each NATS server has `sync_interval: always`: without it a power ' +
        'failure loses acknowledged records. SLUICE_NATS_MONITOR_URL lets Sluice check it',
    )
  }
  for (const url of urls) {
    const variables = await fetchVariables(url, clock, signal).catch((thrown: unknown) => {
      // A server that is down is no reason not to start: two of three are enough.
      logger.warn({ url, reason: messageOf(thrown) }, 'a monitoring port of NATS does not answer')
    })
    const fault = variables && faultOf(variables, url)
    if (fault !== undefined) throw misconfigured(fault)
  }
}

async function fetchVariables(
  url: string,
  clock: Pick<Clock, 'after'>,
  signal: AbortSignal,
): Promise<ServerVariables> {
  const late = new AbortController()
  const cancel = clock.after(answerMsMax, () => late.abort(new Error('no answer in time')))
  try {
    const response = await fetch(`${url}/varz`, { signal: AbortSignal.any([signal, late.signal]) })
    if (!response.ok) throw new Error(`HTTP status ${response.status}`)
    return (await response.json()) as ServerVariables
  } finally {
    cancel()
  }
}

/** What is wrong with a server, in one line. */
export function faultOf(variables: ServerVariables, url: string): string | undefined {
  const { server_name: name, version, max_payload: payload, jetstream } = variables
  if (name === undefined || version === undefined || payload === undefined) {
    return `SLUICE_NATS_MONITOR_URL: ${url}/varz is not the answer of a NATS server`
  }
  const fault = faultOfServer({ server_name: name, version, max_payload: payload })
  if (fault !== undefined) return fault
  if (jetstream?.config === undefined) return undefined
  if (jetstream.config.sync_always === true) return undefined
  return (
    `NATS server ${name} acknowledges before it has flushed: set \`sync_interval: always\` in ` +
    'the `jetstream` block of the configuration of each server'
  )
}
