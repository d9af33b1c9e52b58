import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'

/** The files of deploy/ as the programs that read them see them. */
const deploy = fileURLToPath(new URL('../../deploy/', import.meta.url))
const { PROMTOOL = 'promtool' } = process.env

function run(program: string, ...words: string[]) {
  const { status, stdout, stderr } = spawnSync(program, words, { encoding: 'utf8' })
  return { status, text: `${stdout}${stderr}` }
}
const isThere = (program: string) => spawnSync(program, ['--version']).status === 0

const hasPromtool = isThere(PROMTOOL)
test.skipIf(!hasPromtool).each([
  ['check', 'config', 'prometheus/prometheus.yml'],
  ['check', 'rules', 'prometheus/alerts.yml'],
  ['test', 'rules', 'prometheus/alerts.test.yml'],
])('promtool %s %s %s (skipped without promtool)', (verb, kind, file) => {
  const { status, text } = run(PROMTOOL, verb, kind, path.join(deploy, file))
  expect(text).toContain('SUCCESS')
  expect(status).toBe(0)
})

const hasNats = isThere('nats-server')
test.skipIf(!hasNats)('nats-server takes its configuration (skipped without nats-server)', () => {
  const conf = path.join(deploy, 'cluster/nats-server.conf')
  const { status, text } = run('env', 'SERVER_NAME=nats-0', 'nats-server', '-t', '-c', conf)
  expect(text).toContain('is valid')
  expect(status).toBe(0)
})

const hasHaproxy = spawnSync('haproxy', ['-v']).status === 0
test.skipIf(!hasHaproxy)('haproxy takes its configuration (skipped without haproxy)', () => {
  const { status, text } = run('haproxy', '-c', '-f', path.join(deploy, 'cluster/haproxy.cfg'))
  expect({ status, text }).toMatchObject({ status: 0 })
})

const hasSystemd = isThere('systemd-analyze')
test.skipIf(!hasSystemd)(
  'systemd-analyze verify (skipped without systemd) finds nothing in the unit',
  async () => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'sluice-unit-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const file = path.join(folder, 'sluice.service')
    const unit = await readFile(path.join(deploy, 'sluice.service'), 'utf8')
    // The program that it starts must be there.
    await writeFile(file, unit.replace('/usr/local/bin/sluice', process.execPath))
    expect(run('systemd-analyze', 'verify', file)).toEqual({ status: 0, text: '' })
  },
)
