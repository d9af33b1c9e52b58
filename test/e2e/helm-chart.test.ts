import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
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

type Values = Readonly<Record<string, string>>

function render(values: Values, verb: readonly string[] = ['template', 'edge']) {
  const set = Object.entries(values).map(([name, value]) => `--set=${name}=${value}`)
  const words = [...verb, chart, '--kube-version=1.31.0', ...set]
  const { status, stdout, stderr } = spawnSync(helm ?? '', words, { encoding: 'utf8' })
  return { status, stdout, stderr }
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly scheme: string }
}

/** The container of the StatefulSet. */
function containerOf(manifests: string) {
  const documents = parseAllDocuments(manifests).map((document) => document.toJS() as Manifest)
  const [container] =
    documents.find(({ kind }) => kind === 'StatefulSet')?.spec.template.spec.containers ?? []
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
  ['a misspelt value', { ...least, 'mqtt.tsl.secretName': 'x' }, /tsl/],
  ['a number as a variable', { ...least, 'variables.SLUICE_DRAIN_MS': '1' }, /SLUICE_DRAIN_MS/],
])('helm (skipped without helm) refuses %s', (_, values, reason) => {
  const { status, stderr } = render(values)
  expect(status).toBe(1)
  expect(stderr).toMatch(reason)
})

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
