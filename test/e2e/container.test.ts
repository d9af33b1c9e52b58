import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { createProgram } from '../../src/cli/program.ts'
import { variables } from '../../src/config/config.ts'
import { createTestHost } from '../helpers/test-host.ts'

interface Service {
  readonly command: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly ports?: readonly string[]
}

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const { services } = parse(read('docker-compose.yml')) as { services: Record<string, Service> }
const dockerfile = read('Dockerfile')

/** Variables that the AWS SDK reads by itself. */
const sdkVariables = [
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_ENDPOINT_URL_KINESIS',
  'AWS_ENDPOINT_URL_STS',
]
const knownVariables = new Set([...Object.keys(variables), ...sdkVariables])

describe.each(Object.entries(services))('compose service %s', (_name, service) => {
  test('runs a command that exists, with options that it has', () => {
    const [name, ...words] = service.command
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

  test('publishes its ports on loopback only, and takes unsigned requests nowhere else', () => {
    const { SLUICE_AUTH: authentication } = service.environment ?? {}
    expect(authentication).toBe(service.command[0] === 'start' ? 'off' : undefined)
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
  })
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
