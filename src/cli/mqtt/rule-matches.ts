import http from 'node:http'
import https from 'node:https'
import { resolveBroker } from './broker-options.ts'
import type { BrokerOptions } from './broker-options.ts'
import { endpointOf } from '../../app/running-engine.ts'
import { findRunningEngine } from './find-running-engine.ts'
import type { Host } from '../terminal/host.ts'

/** Rule -> messages that it has matched since the start of the engine. */
type RuleMatches = ReadonlyMap<string, number>

const answerTimeoutMs = 2_000
/** A few hundred bytes for each rule, of which there may be 100,000. */
const answerBytesMax = 67_108_864

/**
 * Asks the engine that runs here, as far as it tells callers who do not sign.
 *
 * @returns undefined where nobody can be asked
 */
export async function countMatches(
  host: Host,
  options: BrokerOptions,
): Promise<RuleMatches | undefined> {
  // A broker elsewhere is not the one that runs here.
  if (options.host !== undefined) return undefined
  const engine = await findRunningEngine(host)
  if (engine?.http === undefined || engine.credentialsFile !== undefined) return undefined
  const broker = await resolveBroker(host, options)
  if (broker.port !== engine.mqtt?.port && broker.port !== engine.mqtts?.port) return undefined
  const url = `${endpointOf(engine.http, engine.http.tls ? 'https' : 'http')}/v1/metrics`
  const text = await fetchText(url, broker.tls?.ca).catch(() => undefined)
  return text === undefined ? undefined : parseMatches(text)
}

/** `fetch` cannot be told which CA to trust. */
function fetchText(url: string, ca: Buffer | undefined): Promise<string> {
  const { get } = url.startsWith('https:') ? https : http
  return new Promise((resolve, reject) => {
    const request = get(url, { ...(ca && { ca }), timeout: answerTimeoutMs }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > answerBytesMax) request.destroy(new Error('the answer is too long'))
        chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'))
        else reject(new Error(`status ${response.statusCode}`))
      })
    })
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', reject)
  })
}

function parseMatches(text: string): RuleMatches {
  const line = /^sluice_rule_evaluations_total\{rule="([^"]*)",result="matched"\} (\d+)$/gm
  return new Map([...text.matchAll(line)].map(([, rule = '', count]) => [rule, Number(count)]))
}

/** @returns one line that says how many messages each rule took; empty where it is not known */
export function matchesLine(
  before: RuleMatches | undefined,
  after: RuleMatches | undefined,
): string {
  if (before === undefined || after === undefined) return ''
  const taken = [...after].flatMap(([rule, count]) => {
    const more = count - (before.get(rule) ?? 0)
    return more > 0 ? [`${rule} ${more}`] : []
  })
  return taken.length === 0
    ? 'no rule took any of them: GET /rules lists the rules and their topics\n'
    : `messages taken by rules: ${taken.join(', ')}\n`
}
