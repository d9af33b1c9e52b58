import { systemClock } from '../base/clock.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { endpointOf } from '../app/running-engine.ts'
import type { RecordedCall, RecordedCalls } from '../lab/calls/recorded-calls.ts'
import { dataFoldersOf, findRunningEngine } from './mqtt/find-running-engine.ts'
import { paint } from './terminal/host.ts'
import type { Host, Output } from './terminal/host.ts'
import { onOneLine } from './terminal/record-line.ts'

interface FollowOptions {
  /** Calls before are left out; LATEST: those that are recorded already. */
  readonly from: 'TRIM_HORIZON' | 'LATEST' | Date
  readonly json: boolean
  readonly limit?: number | undefined
}

const pollMs = 500
const pageMax = 1_000
const answerTimeoutMs = 10_000

/**
 * Prints the calls that the lab of this machine records, until a signal comes.
 *
 * @throws SluiceError ConfigInvalid: no lab runs; ServiceUnavailableException: it does not answer
 *   (rejects)
 */
export async function followCalls(host: Host, out: Output, options: FollowOptions): Promise<void> {
  const url = await findLab(host)
  const stop = new AbortController()
  void host.stopRequested().then(() => stop.abort())
  host.stderr.write(paint(out, 'dim', `calls of the lab at ${url}, Ctrl-C ends\n`))
  const { from } = options
  const fromTime = from instanceof Date ? from.toISOString() : ''
  let isWanted = from !== 'LATEST'
  let left = options.limit ?? Number.POSITIVE_INFINITY
  let token: string | undefined
  while (!stop.signal.aborted && left > 0) {
    const page = await pageOf(url, token, stop.signal)
    if (page === undefined) return
    token = page.resumeToken
    const calls = page.calls.filter(({ at }) => isWanted && at >= fromTime).slice(0, left)
    left -= calls.length
    host.stdout.write(calls.map((call) => lineOf(call, out, options)).join(''))
    if (page.nextToken !== undefined) continue
    isWanted = true
    if (left > 0) await systemClock.sleep(pollMs, stop.signal)
  }
}

async function findLab(host: Host): Promise<string> {
  const lab = await findRunningEngine(host, ({ http, kinesis }) => !!http && !!kinesis)
  if (lab?.http) return endpointOf(lab.http, lab.http.tls ? 'https' : 'http')
  throw new SluiceError(
    'ConfigInvalid',
    `no lab runs on ${dataFoldersOf(host).join(' or ')} (\`npm start\` runs one)`,
  )
}

/** @returns undefined when the signal ended the request */
async function pageOf(
  url: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<ReturnType<RecordedCalls['list']> | undefined> {
  const query = `maxResults=${pageMax}${token === undefined ? '' : `&nextToken=${token}`}`
  const late = new AbortController()
  const reason = new Error(`there was no answer within ${answerTimeoutMs / 1_000} s`)
  const cancel = systemClock.after(answerTimeoutMs, () => late.abort(reason))
  try {
    const answer = await fetch(`${url}/v1/lab/calls?${query}`, {
      signal: AbortSignal.any([signal, late.signal]),
    })
    if (!answer.ok) throw new Error(`it answers ${answer.status}: ${await answer.text()}`)
    return (await answer.json()) as ReturnType<RecordedCalls['list']>
  } catch (thrown) {
    if (signal.aborted) return undefined
    const { cause = thrown } = thrown instanceof Error ? thrown : {}
    throw new SluiceError(
      'ServiceUnavailableException',
      `cannot read the calls of the lab at ${url}: ${messageOf(cause)}`,
      { cause: thrown },
    )
  } finally {
    cancel()
  }
}

function lineOf(call: RecordedCall, out: Output, { json }: Pick<FollowOptions, 'json'>): string {
  if (json) return `${JSON.stringify(call)}\n`
  const { at, kind, operation, parameters } = call
  const text = [
    at.slice(11, 23),
    paint(out, 'cyan', callerOf(call)),
    `${kind} ${operation}`,
    onOneLine(JSON.stringify(parameters)),
    ...('topic' in call ? [paint(out, 'dim', onOneLine(call.topic))] : []),
  ].join('  ')
  return `${text}\n`
}

function callerOf(call: RecordedCall): string {
  if ('mapping' in call) return `mapping ${call.mapping}`
  const { ruleName, actionIndex } = call
  return `${ruleName} ${actionIndex < 0 ? 'errorAction' : `actions[${actionIndex}]`}`
}
