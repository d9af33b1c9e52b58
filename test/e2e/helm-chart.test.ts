import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { variables } from '../../src/config/variables.ts'
import { setPassword } from '../../src/identity/passwords/password-file.ts'
import { makeCertificateFolder } from '../../src/identity/certificates/certificate-folder.ts'
import { startSluice } from '../helpers/sluice-process.ts'

const chart = fileURLToPath(new URL('../../deploy/helm/sluice', import.meta.url))
const isThere = (program: string, word: string) => spawnSync(program, [word]).status === 0
const goBinaries = path.join(process.env['GOPATH'] ?? path.join(os.homedir(), 'go'), 'bin')
const helm = ['helm', path.join(goBinaries, 'helm')].find((program) => isThere(program, 'version'))
const hasValidator = isThere('kubernetes-validate', '--version')

const least = { 'image.repository': 'registry/sluice', 'aws.region': 'eu-central-1' }
const byCertificate = { 'mqtt.tls.secretName': 'tls', 'mqtt.tls.deviceCertificates': 'true' }
const full = {
  ...least,
  ...byCertificate,
  'mqtt.plain': 'true',
  'passwords.secretName': 'passwords',
  'accessKeys.secretName': 'access-keys',
  'serviceMonitor.enabled': 'true',
  'serviceMonitor.tokenSecret.name': 'metrics',
  'variables.SLUICE_REDACT': 'token',
  'variablesFrom[0]': 'keys',
  'persistence.storageClass': 'replicated',
}

const nodes = {
  ...least,
  ...byCertificate,
  'nats.url': String.raw`tls://nats-0:4222\,tls://nats-1:4222`,
}
const fullNodes = {
  ...nodes,
  'nats.monitorUrl': 'http://nats-0:8222',
  'nats.login.secretName': 'login',
  'nats.tls.secretName': 'nats-tls',
  'nats.tls.clientCertificate': 'true',
  'passwords.inCluster': 'true',
  'cluster.whenUnsatisfiable': 'DoNotSchedule',
  'autoscaling.enabled': 'true',
  'autoscaling.oldestAgeSeconds': '30',
}

type Values = Readonly<Record<string, string>>

function render(values: Values, verb: readonly string[] = ['template', 'edge']) {
  const set = Object.entries(values).map(([name, value]) => `--set=${name}=${value}`)
  const words = [...verb, chart, '--kube-version=1.31.0', ...set]
  const { status, stdout, stderr } = spawnSync(helm ?? '', words, { encoding: 'utf8' })
  return { status, stdout, stderr }
}

const isVariable = (name: string) => Object.hasOwn(variables, name)

interface Probe {
  readonly httpGet: { readonly path: string; readonly scheme: string }
}

/** The container of the StatefulSet, or of the Deployment. */
function containerOf(manifests: string, ofKind = 'StatefulSet') {
  const documents = parseAllDocuments(manifests).map((document) => document.toJS() as Manifest)
  const [container] =
    documents.find(({ kind }) => kind === ofKind)?.spec.template.spec.containers ?? []
  if (!container) throw new Error('there is no container')
  return container
}

interface Manifest {
  readonly kind: string
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly {
          readonly args: readonly string[]
          readonly env: readonly { readonly name: string; readonly value: string }[]
          readonly livenessProbe: Probe
          readonly readinessProbe: Probe
        }[]
      }
    }
  }
}

test.skipIf(!helm).each([
  ['the least', { ...least, ...byCertificate }],
  ['without TLS', { ...least, 'mqtt.plain': 'true', 'mqtt.anonymous': 'true' }],
  ['everything', full],
  ['the least of a cluster', nodes],
  ['everything of a cluster', fullNodes],
])('helm (skipped without helm) lints and renders values: %s', async (_, values) => {
  expect(render(values, ['lint', '--strict'])).toMatchObject({ status: 0 })
  const { stdout, stderr } = render(values)
  expect(stderr).toBe('')
  if (!hasValidator) return
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sluice-chart-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = path.join(folder, 'manifests.yaml')
  // The validator has no schema of the Prometheus operator.
  await writeFile(
    file,
    stdout
      .split('---\n')
      .filter((text) => !/ServiceMonitor/.test(text))
      .join('---\n'),
  )
  const validated = spawnSync('kubernetes-validate', ['--strict', '-k', '1.31', file], {
    encoding: 'utf8',
  })
  expect(validated).toMatchObject({ status: 0 })
})

test.skipIf(!helm).each<[string, Values, RegExp]>([
  ['no image', { 'aws.region': 'r' }, /set image\.repository/],
  ['no region', { 'image.repository': 'i' }, /set aws\.region/],
  ['no way in', least, /no device could connect/],
  ['no sign-in', { ...least, 'mqtt.plain': 'true' }, /no device could sign in/],
  [
    'metrics without a token',
    { ...least, ...byCertificate, 'serviceMonitor.enabled': 'true' },
    /set serviceMonitor\.tokenSecret\.name/,
  ],
  ['a volume for nodes', { ...nodes, 'persistence.storageClass': 'c' }, /nodes .* have no volumes/],
  ['keys in a file', { ...nodes, 'accessKeys.secretName': 'k' }, /sluice cluster import/],
  ['passwords in a file', { ...nodes, 'passwords.secretName': 'p' }, /passwords\.inCluster=true/],
  [
    'two logins at NATS',
    { ...nodes, 'nats.url': 'nats://u:p@n:4222', 'nats.login.secretName': 'l' },
    /nats\.url has a user/,
  ],
  [
    'a NATS certificate without CA',
    { ...nodes, 'nats.tls.clientCertificate': 'true' },
    /needs nats\.tls\.secretName/,
  ],
  [
    'more pods at least than at most',
    { ...nodes, 'autoscaling.enabled': 'true', 'autoscaling.minReplicas': '9' },
    /minReplicas 9 is more than autoscaling\.maxReplicas 6/,
  ],
  [
    'a scaler without a metric',
    { ...nodes, 'autoscaling.enabled': 'true', 'autoscaling.cpuUtilization': '0' },
    /has nothing to go by/,
  ],
  ['too short a stop', { ...nodes, terminationGracePeriodSeconds: '10' }, /at least 20/],
  [
    'several pods without NATS',
    { ...least, ...byCertificate, 'autoscaling.enabled': 'true' },
    /autoscaling\.enabled needs nats\.url/,
  ],
  [
    'a login at no server',
    { ...least, ...byCertificate, 'nats.login.secretName': 'l' },
    /need nats\.url/,
  ],
  ['what is no NATS server', { ...nodes, 'nats.url': 'http://n' }, /nats\/url|nats\.url/],
  [
    'NATS as a variable',
    { ...least, ...byCertificate, 'variables.SLUICE_NATS_URL': 'nats://n' },
    /set nats\.\* instead/,
  ],
  ['a misspelt value', { ...least, 'mqtt.tsl.secretName': 'x' }, /tsl/],
  ['a number as a variable', { ...least, 'variables.SLUICE_DRAIN_MS': '1' }, /SLUICE_DRAIN_MS/],
])('helm (skipped without helm) refuses %s', (_, values, reason) => {
  const { status, stderr } = render(values)
  expect(status).toBe(1)
  expect(stderr).toMatch(reason)
})

test.skipIf(!helm)(
  'nodes of a cluster (skipped without helm) have no volume and no StatefulSet',
  () => {
    const { stdout } = render(fullNodes)
    const kinds = parseAllDocuments(stdout).map((document) => (document.toJS() as Manifest).kind)
    expect(kinds.toSorted()).toEqual([
      'Deployment',
      'HorizontalPodAutoscaler',
      'PodDisruptionBudget',
      'Service',
      'Service',
      'ServiceAccount',
    ])
    const environment = Object.fromEntries(
      containerOf(stdout, 'Deployment').env.map(({ name, value }) => [name, value]),
    )
    expect(environment).toMatchObject({
      SLUICE_NATS_URL: 'tls://nats-0:4222,tls://nats-1:4222',
      SLUICE_NATS_MONITOR_URL: 'http://nats-0:8222',
      SLUICE_CLUSTER_NAME: 'sluice',
      SLUICE_NATS_CREDENTIALS_FILE: '/secrets/nats-login/nats.creds',
      SLUICE_NATS_CA_FILE: '/secrets/nats-tls/ca.crt',
      SLUICE_NATS_KEY_FILE: '/secrets/nats-tls/tls.key',
    })
    expect(Object.keys(environment).filter((name) => !isVariable(name))).toEqual([])
  },
)

test.skipIf(!helm)(
  'the engine starts with what the chart sets (skipped without helm), and its probes answer',
  async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'sluice-chart-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const made = path.join(folder, 'certs')
    await makeCertificateFolder({
      directory: made,
      hosts: [],
      devices: [],
      force: false,
      nowMs: Date.now(),
    })
    await symlink(path.join(made, 'server.pem'), path.join(folder, 'tls.crt'))
    await symlink(path.join(made, 'server-key.pem'), path.join(folder, 'tls.key'))
    await symlink(path.join(made, 'ca.pem'), path.join(folder, 'ca.crt'))
    await setPassword(path.join(folder, 'passwords'), { user: 'u', password: 'p' })
    const { args, env, livenessProbe, readinessProbe } = containerOf(
      render({ ...least, ...byCertificate, 'passwords.secretName': 'p' }).stdout,
    )
    const ofChart = Object.fromEntries(
      env.map(({ name, value }) => [
        name,
        name.endsWith('_PORT') ? '0' : value.replace(/^\/secrets\/[^/]+|^\/sluice\/volume/, folder),
      ]),
    )
    const ofTest = { SLUICE_MQTT_PORT: '0', SLUICE_ACCOUNT_ID: '000000000000' }
    const engine = startSluice(args, { ...ofChart, ...ofTest })
    onTestFinished(async () => {
      engine.kill('SIGKILL')
      await engine.ended
    })
    const { http, https } = await engine.ready()
    expect(https).toBe(true)
    for (const { httpGet } of [livenessProbe, readinessProbe]) {
      expect(httpGet.scheme).toBe('HTTPS')
      expect(await statusOf(Number(http), httpGet.path)).toBe(200)
    }
  },
)

/** As kubelet asks: the certificate is not verified. */
function statusOf(port: number, ofPath: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { port, path: ofPath, host: '127.0.0.1', rejectUnauthorized: false },
      (answer) => {
        answer.resume()
        resolve(answer.statusCode)
      },
    )
    asked.once('error', reject)
    asked.end()
  })
}
