import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { faultOf } from '../../src/cluster/nats/monitor-check.ts'
import { faultOfServer, isOlder } from '../../src/cluster/nats/server-check.ts'

const imports = (text: string) => [
  ...text.matchAll(/^(?:import (?!type)[^']*?|export [^']*?) from '([^']+)'/gm),
]

test('without SLUICE_NATS_URL no client of NATS is loaded: engine and commands ask for it by import()', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  )
  const targetsOf = new Map(
    files.map((file) => {
      const text = readFileSync(path.join('src', file), 'utf8')
      const targets = imports(text).map(([, target = '']) =>
        target.startsWith('.') ? path.join(path.dirname(file), target) : target,
      )
      return [file, targets]
    }),
  )
  /** What loads it, directly or not. */
  const loading = new Set<string>()
  let before = -1
  while (loading.size > before) {
    before = loading.size
    for (const [file, targets] of targetsOf) {
      const loads = (target: string) => target.startsWith('@nats-io/') || loading.has(target)
      if (targets.some(loads)) loading.add(file)
    }
  }
  expect(loading).toContain('cluster/nats/open-nats.ts')
  const always = ['main.ts', 'index.ts', 'app/app.ts', 'app/stages.ts']
  for (const file of always) expect(files).toContain(file)
  const wrong = [...loading].filter((file) => always.includes(file) || /^cli\/[^/]+$/.test(file))
  expect(wrong).toEqual([])
  // What every engine may load.
  expect(loading).not.toContain('cluster/log/replicated-log.ts')
})

test.each([
  ['2.13.9', true],
  ['1.99.0', true],
  ['2.14.0', false],
  ['2.15.0-dev', false],
  ['3.0.0', false],
  ['', true],
])('version %s of a server is too old: %s', (version, isTooOld) => {
  expect(isOlder(version)).toBe(isTooOld)
  const fault = faultOfServer({ version, max_payload: 8_388_608, server_name: 'n' })
  expect(fault?.includes('upgrade it to 2.14 or newer') ?? false).toBe(isTooOld)
})

test('the answer of a monitoring port is checked', () => {
  const url = 'http://nats-0:8222'
  const server = { server_name: 'n', version: '2.15.2', max_payload: 8_388_608 }
  const jetstream = { config: { sync_always: true } }
  expect(faultOf({ ...server, jetstream }, url)).toBeUndefined()
  // A server that only routes stores nothing.
  expect(faultOf(server, url)).toBeUndefined()
  expect(faultOf({ ...server, jetstream: { config: {} } }, url)).toContain('sync_interval: always')
  expect(faultOf({ ...server, version: '2.10.1' }, url)).toContain('upgrade it')
  expect(faultOf({}, url)).toContain('http://nats-0:8222/varz is not the answer of a NATS server')
})
