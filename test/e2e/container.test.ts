import { cp } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Command } from 'commander'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { createProgram } from '../../src/cli/program.ts'
import { loadConfig, variables } from '../../src/config/config.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import { createTestHost } from '../helpers/test-host.ts'

interface Service {
  readonly image: string
  readonly profiles?: readonly string[]
  readonly restart?: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
}
type Services = Readonly<Record<string, Service>>

const root = path.resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const compose = (file: string) =>
  parse(read(file), { merge: true }) as { services: Services; volumes?: object }
const { services, volumes } = compose('docker-compose.yml')
const beside = compose('docker-compose.emulator.yml').services
const dockerfile = read('Dockerfile')
const knownVariables = new Set<string>(Object.keys(variables))

/** Prometheus and Grafana of the profile `observe` are images of others. */
const ownServices = Object.entries(services).filter(
  ([, { profiles = [] }]) => !profiles.includes('observe'),
)

describe.each(ownServices)('compose service %s', (_name, service) => {
  test('runs a command that exists, with options that it has', () => {
    const [name, ...words] = service.command ?? []
    const command = createProgram(createTestHost()).commands.find((each) => each.name() === name)
    expect(command?.name()).toBe(name)
    const options = command?.options.map((option) => option.long) ?? []
    for (const word of words.filter((each) => each.startsWith('--')))
      expect(options).toContain(word)
    expect(() => parseOnly(command, words)).not.toThrow()
  })

  test('sets variables that exist', () => {
    for (const name of Object.keys(service.environment ?? {}))
      expect(knownVariables).toContain(name)
  })

  test('is of the one image, and begins again after a fault', () => {
    expect(service).toMatchObject({ image: 'sluice', build: '.', restart: 'unless-stopped' })
  })
})

test.each([
  ['docker-compose.yml', services],
  ['docker-compose.emulator.yml', beside],
])('%s publishes ports on loopback only', (_, all) => {
  for (const { ports = [] } of Object.values(all))
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
})

test('what the lab writes is in volumes, which begin with what the image gives its user', () => {
  const mounted = services['lab']?.volumes?.map((text) => text.replace(/\$\{\w+:-(.*?)\}/, '$1'))

  expect(mounted).toEqual([
    'rules:/sluice/rules',
    './functions:/sluice/functions',
    './stubs:/sluice/stubs:ro',
    'lab:/sluice/data',
  ])
  expect(Object.keys(volumes ?? {})).toEqual(['rules', 'lab'])
  expect(dockerfile).toMatch(/chown -R node:node data rules functions$/m)
})

test('the emulator beside the lab is one that the lab may call', () => {
  const { environment = {} } = beside['lab'] ?? {}
  const url = new URL(environment['SLUICE_LAB_AWS_ENDPOINT_URL'] ?? '')

  expect(Object.keys(beside)).toContain(url.hostname)
  expect(environment['SLUICE_LAB_AWS_ENDPOINT_HOSTS']).toBe(url.hostname)
  expect(beside[url.hostname]?.ports).toEqual([`127.0.0.1:${url.port}:${url.port}`])
  expect(
    loadConfig({ ...services['lab']?.environment, ...environment }, 'lab').labActions,
  ).toMatchObject({
    endpoints: { SQS: url.origin },
    hosts: [url.hostname],
  })
})

test('the services run without containers: devices publish, and the lab takes what the API makes', async () => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  for (const name of ['rules', 'functions']) {
    await cp(path.join(root, name), path.join(folder.path, name), { recursive: true })
  }
  const { lab: labService, devices: deviceService } = services
  // What the image sets, where it is not `/sluice`.
  const ofImage = { SLUICE_RULES_DIR: 'rules', SLUICE_DATA_DIR: 'data' }
  const environment = { ...ofImage, ...labService?.environment }
  const lab = startSluice(labService?.command ?? [], environment, { cwd: folder.path })
  onTestFinished(async () => {
    lab.kill('SIGTERM')
    expect(await lab.ended).toBe(0)
  })
  const ports = (await lab.ready()) as unknown as Record<string, number>
  const words = (deviceService?.command ?? []).map((word) => (word === 'lab' ? '127.0.0.1' : word))
  const devices = startSluice(
    [...words, '--port', String(ports['mqtt'])],
    deviceService?.environment,
  )
  onTestFinished(() => {
    devices.kill('SIGTERM')
  })
  const url = `http://127.0.0.1:${ports['http']}`
  const rule = { sql: "SELECT device FROM 'env/+/telemetry'", actions: [], ruleDisabled: false }
  const made = await fetch(`${url}/rules/made`, { method: 'POST', body: JSON.stringify(rule) })

  expect(made.status).toBe(200)
  expect(readFileSync(path.join(folder.path, 'rules/made.json'), 'utf8')).toContain(rule.sql)
  await expect
    .poll(async () => (await fetch(`${url}/v1/metrics`)).text(), { timeout: 15_000 })
    .toMatch(/^sluice_rule_evaluations_total\{rule="made",result="matched"\} [1-9]/m)
})

test('the image sets variables that exist', () => {
  const names = [...dockerfile.matchAll(/\b(SLUICE_[A-Z_]+)[=\s|]/g)].map((match) => match[1])
  expect(names.length).toBeGreaterThan(0)
  for (const name of names) expect(knownVariables).toContain(name)
})

test('the image runs a command that exists, not as root, and looks after its health', () => {
  const command = /^CMD \["(.*)"\]$/m.exec(dockerfile)?.[1]
  const names = createProgram(createTestHost()).commands.map((each) => each.name())
  expect(names).toContain(command)
  expect(dockerfile).toMatch(/^USER node$/m)
  const check = /^HEALTHCHECK .*\n +CMD \["sluice", "(.*)"\]$/m.exec(dockerfile)?.[1]
  expect(check).toBe('health')
  expect(names).toContain(check)
})

/** Reads the words as the command would, without running it. */
function parseOnly(command: Command | undefined, words: readonly string[]): void {
  command?.exitOverride().parseOptions([...words])
}
