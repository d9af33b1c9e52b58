import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import type { AppPorts, RuleExample } from '../app/app.ts'
import { systemClock } from '../base/clock.ts'
import { labAccountId } from '../config/config.ts'
import type { Config } from '../config/config.ts'
import { parsePasswordFile } from '../identity/passwords/password-file.ts'
import { createPermissions, mayConnect } from '../identity/policies/permissions.ts'
import { openPolicyFolder } from '../identity/policies/policy-folder.ts'
import type { PolicySet } from '../identity/policies/policy-folder.ts'
import type { PolicyTarget } from '../identity/policies/policy-targets.ts'
import { identityOf } from '../identity/policies/principal.ts'
import { reachableHost } from '../base/loopback.ts'
import { printableLine } from '../telemetry/printable.ts'
import { endpointOf } from '../app/running-engine.ts'
import { clientIdPrefix } from './mqtt/broker-options.ts'
import { paint } from './terminal/host.ts'
import type { Host } from './terminal/host.ts'

/**
 * "Try it" of a lab that has just started: lines that work as they are printed. Who may publish is
 * decided as the broker decides it, by certificates and passwords and by the policies.
 *
 * @param example the rule to try; undefined when there is none
 */
export async function nextSteps(
  host: Host,
  ports: AppPorts,
  config: Config,
  example: RuleExample | undefined,
): Promise<string> {
  const command = (text: string) => `  ${paint(host.stdout, 'cyan', text)}\n`
  return (
    '\nTry it, in a second terminal:\n' +
    (example ? command(await publishLine(ports, config, example)) : '') +
    command(await listLine(ports.http, config)) +
    command(`npx sluice tail ${quoted(example?.streamName ?? '--calls')}`) +
    '\n'
  )
}

/** How a client would say who it is, and under which topics and client ids it might be let in. */
interface Candidate {
  readonly words: readonly string[]
  readonly target: PolicyTarget
  readonly isOverTls: boolean
  readonly names: readonly string[]
  readonly commonName?: string | undefined
}

const anyDevice = '7'

/** A topic that the filter matches, with the name of a device where it has its first wildcard. */
function topicFor({ topicFilter }: RuleExample, name: string): string {
  return topicFilter.replace(/[+#]/, () => name).replaceAll(/[+#]/g, () => anyDevice)
}

/** As a word of a shell, where it needs quotes. */
const quoted = (text: string) =>
  /^[\w./:@%+-]+$/.test(text) ? text : `'${printableLine(text).replaceAll("'", "'\\''")}'`

async function publishLine(ports: AppPorts, config: Config, example: RuleExample): Promise<string> {
  const folder = await openPolicyFolder(
    { logger: silent, clock: systemClock },
    { directory: config.mqtt.policiesDir },
  )
  folder.close()
  const candidates = await candidatesOf(config)
  for (const candidate of candidates) {
    for (const name of candidate.names) {
      const topic = topicFor(example, name)
      const published = { name, topic }
      if (!isAllowed(candidate, published, folder.policies.current, config)) continue
      const words = [...portWords(candidate, ports, config), ...candidate.words]
      const id = name === anyDevice ? [] : ['-i', name]
      const message = ['-t', quoted(topic), '-m', `'{"temp": 61.5}'`]
      return ['npx sluice pub', ...words, ...id, ...message].join(' ')
    }
  }
  return candidates.length === 0
    ? 'npx sluice certs --help   # MQTT clients need a certificate, or a password (sluice passwd)'
    : 'npx sluice policies list  # no policy lets one of your clients publish to ' +
        topicFor(example, '<name>')
}

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

async function candidatesOf(config: Config): Promise<readonly Candidate[]> {
  const { anonymous, passwordFile } = config.mqtt
  const anybody: Candidate = {
    words: [],
    target: 'anonymous',
    isOverTls: false,
    names: [anyDevice],
  }
  return [
    ...(anonymous.tcp ? [anybody] : []),
    ...(await devicesOf(config)),
    ...(passwordFile === undefined ? [] : await usersOf(passwordFile)),
  ]
}

/** Certificates as `sluice certs` lays them: beside that of the server. */
async function devicesOf({ tls }: Config): Promise<readonly Candidate[]> {
  if (tls?.authorityFile === undefined) return []
  const { authorityFile } = tls
  const folder = path.join(path.dirname(tls.certificateFile), 'devices')
  const files = await readdir(folder).catch((): string[] => [])
  const names = files
    .filter((file) => file.endsWith('.pem') && files.includes(file.replace(/\.pem$/, '-key.pem')))
    .map((file) => file.slice(0, -'.pem'.length))
  const devices = await Promise.all(
    names.toSorted().map(async (name): Promise<Candidate | undefined> => {
      const certificate = path.join(folder, `${name}.pem`)
      const text = await readFile(certificate).catch(() => undefined)
      if (text === undefined) return undefined
      const { principal, commonName } = identityOf(text)
      const key = path.join(folder, `${name}-key.pem`)
      return {
        words: ['--ca', shown(authorityFile), '--cert', shown(certificate), '--key', shown(key)],
        target: `cert:${principal}`,
        isOverTls: true,
        names: [name],
        commonName,
      }
    }),
  )
  return devices.filter((device) => device !== undefined)
}

async function usersOf(file: string): Promise<readonly Candidate[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return [...parsePasswordFile(text).keys()].map((user) => ({
    words: ['-u', user, '-P', "'<its password>'"],
    target: `user:${user}`,
    isOverTls: false,
    names: [anyDevice, user],
  }))
}

function isAllowed(
  { target, commonName }: Candidate,
  { name, topic }: { readonly name: string; readonly topic: string },
  policies: PolicySet | undefined,
  { region, accountId = labAccountId }: Config,
): boolean {
  const clientId = name === anyDevice ? `${clientIdPrefix}0` : name
  const permissions = {
    principal: undefined,
    owner: { region, accountId },
    variables: {
      'iot:ClientId': clientId,
      'iot:Connection.Thing.ThingName': clientId,
      ...(commonName === undefined ? {} : { 'iot:Certificate.Subject.CommonName': commonName }),
    },
    policyNow: () => policies?.policyOf(target),
  }
  return mayConnect(permissions, clientId) && createPermissions(permissions).mayPublish(topic)
}

function portWords({ isOverTls }: Candidate, ports: AppPorts, { mqtt }: Config): readonly string[] {
  const { host } = isOverTls ? mqtt.tls : mqtt
  const port = isOverTls ? ports.mqtts : ports.mqtt
  const reachable = reachableHost(host)
  return [
    ...(reachable === '127.0.0.1' ? [] : ['--host', reachable]),
    ...(port === (isOverTls ? 8883 : 1883) ? [] : ['-p', String(port)]),
  ]
}

async function listLine(port: number, { http, tls, auth, region }: Config): Promise<string> {
  const url = endpointOf({ host: http.host, port }, http.tls ? 'https' : 'http')
  const authority = http.tls && tls ? path.join(path.dirname(tls.certificateFile), 'ca.pem') : ''
  const isThere = authority !== '' && (await readFile(authority).catch(() => undefined))
  if (auth.kind === 'off') {
    const trust = http.tls ? (isThere ? `--cacert ${shown(authority)} ` : '--insecure ') : ''
    return `curl ${trust}${url}/rules`
  }
  const bundle = isThere ? ` --ca-bundle ${shown(authority)}` : ''
  return `aws iot list-topic-rules --region ${region} --endpoint-url ${url}${bundle}`
}

/** As short as it is from here. */
function shown(file: string): string {
  const relative = path.relative('.', file)
  return relative.startsWith('..') ? file : relative
}
