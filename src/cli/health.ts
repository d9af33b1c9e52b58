import { systemClock } from '../base/clock.ts'
import { get as getOverHttp } from 'node:http'
import { get as getOverTls } from 'node:https'
import { Command } from 'commander'
import { endpointOf } from '../app/running-engine.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { httpUrlOf } from '../config/config.ts'
import { loadKinesisConfig } from '../config/lab-config.ts'
import { folderOwnerOf } from '../storage/folder-format.ts'
import { dataFoldersOf, findRunningEngine } from './mqtt/find-running-engine.ts'
import { addMoreHelp } from './terminal/help.ts'
import type { Host } from './terminal/host.ts'

/** The check of an image gives up after three seconds, and the command has to start before. */
const answerTimeoutMs = 2_000
const answerBytesMax = 65_536

export function healthCommand(host: Host): Command {
  const command = new Command('health')
    .description('ask what runs on this machine for its health; exit code 1 when it is not healthy')
    .action(() => reportHealth(host))
  return addMoreHelp(command, host, {
    notes: [
      'It asks the lab or the engine of the data folder; without one, what the variables of the ' +
        'HTTP API name; and where no engine has used the data folder, the local Kinesis of ' +
        'SLUICE_LAB_HOST and SLUICE_LAB_PORT. It is the health check of the image.',
    ],
    examples: ['sluice health'],
  })
}

/** @throws SluiceError ServiceUnavailableException (rejects): nothing answers, or it says why */
async function reportHealth(host: Host): Promise<void> {
  const engine = await findRunningEngine(host, ({ http }) => http !== undefined)
  const url = engine?.http
    ? endpointOf(engine.http, engine.http.tls ? 'https' : 'http')
    : httpUrlOf(host.environment)
  const answer = await ask(`${url}/v1/health`)
  if ('unreachable' in answer) {
    // The engine claims its folder before it opens the local Kinesis of a lab.
    if (engine || (await hasEngineFolder(host))) throw unhealthy(answer.unreachable)
    return reportKinesis(host, answer.unreachable)
  }
  if (answer.status !== 200) throw unhealthy(`${url} answers ${answer.status}: ${answer.text}`)
  host.stdout.write(`${url}: ${answer.text}\n`)
}

async function reportKinesis(host: Host, before: string): Promise<void> {
  const url = endpointOf(loadKinesisConfig(host.environment).lab)
  // Without a signature Kinesis refuses the request, which shows that it is there.
  const answer = await ask(url)
  if ('unreachable' in answer) throw unhealthy(`${before}; ${answer.unreachable}`)
  host.stdout.write(`${url}: the local Kinesis answers\n`)
}

async function hasEngineFolder(host: Host): Promise<boolean> {
  const owners = await Promise.all(dataFoldersOf(host).map(folderOwnerOf))
  return owners.some((owner) => owner === 'lab' || owner === 'engine')
}

type Answer =
  { readonly status: number | undefined; readonly text: string } | { readonly unreachable: string }

/** The certificate is not verified: the request holds no secret, and names this very machine. */
function ask(url: string): Promise<Answer> {
  return new Promise((resolve) => {
    const fail = (thrown: Error) => resolve({ unreachable: `${url}: ${messageOf(thrown)}` })
    const late = new AbortController()
    const cancel = systemClock.after(answerTimeoutMs, () => late.abort())
    const options = { rejectUnauthorized: false, signal: late.signal }
    const get = url.startsWith('https:') ? getOverTls : getOverHttp
    get(url, options, (response) => {
      let text = ''
      response.setEncoding('utf8').on('error', fail)
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > answerBytesMax) response.destroy(new Error('the answer is too long'))
      })
      response.on('end', () => resolve({ status: response.statusCode, text: text.trim() }))
    })
      .on('error', fail)
      .on('close', cancel)
  })
}

function unhealthy(why: string): SluiceError {
  return new SluiceError('ServiceUnavailableException', `not healthy: ${why}`)
}
