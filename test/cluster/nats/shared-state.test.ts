/** What nodes share, on real servers; test/cluster/state has what a store in memory shows. */
import { expect, describe, onTestFinished, test } from 'vitest'
import { openNatsState } from '../../../src/app/open-nats-state.ts'
import { openClusterState } from '../../../src/cluster/state/cluster-state.ts'
import type { ClusterState } from '../../../src/cluster/state/cluster-state.ts'
import { createSharedRules } from '../../../src/rules/shared-rules.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { openStore, payloadOf } from '../../rules/rule-fixtures.ts'
import { findNatsServer } from './find-nats-server.ts'
import { configOf } from './nats-fixture.ts'
import { startNatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`
const stream = 'KV_SLUICE_sluice_STATE'
const lookEveryMs = 10

async function join(url: string) {
  const cluster = configOf({ SLUICE_NATS_URL: url })
  const logged: string[] = []
  const logger = createMemoryLogger((line) => logged.push(String(line['msg'])))
  const dependencies = { logger, clock: systemClock }
  const nats = await openNatsState(dependencies, { cluster, region: 'us-east-1' })
  onTestFinished(() => nats.close())
  const state = await openClusterState({ ...dependencies, state: nats.state }, { place: 'cluster' })
  onTestFinished(() => state.close())
  return { state, view: state.view('rule'), logged }
}

/** How long it takes until it is so, in milliseconds. */
async function until(isSo: () => boolean): Promise<number> {
  const startMs = systemClock.monotonicMs()
  while (!isSo()) await systemClock.sleep(lookEveryMs)
  return systemClock.monotonicMs() - startMs
}

/** Writes until it is taken: servers elect a leader meanwhile. */
async function write(
  { state, view }: Awaited<ReturnType<typeof join>>,
  name: string,
  text: string,
) {
  for (;;) {
    await until(() => state.lostReason() === undefined)
    const entry = await view.put(name, text, view.get(name)?.revision).catch(() => undefined)
    if (entry) return
    await view.caughtUp().catch(() => undefined)
  }
}

const textsOf = ({ view }: Awaited<ReturnType<typeof join>>) =>
  view.names().map((name) => `${name}=${view.get(name)?.value.toString()}`)

async function openRules(state: ClusterState) {
  const source = createSharedRules(state.view('rule'), state.place)
  return (await openStore({ watch: true, source })).store
}

describe.skipIf(!program.isFound)(`the shared state of a cluster${why}`, () => {
  if (!program.isFound) return
  const { file } = program

  test('is one for all nodes, with revisions', async () => {
    const servers = await startNatsServers(file)
    onTestFinished(() => servers.stop())
    const [one, other] = [await join(servers.url), await join(servers.url)]
    const told: string[] = []
    other.view.onChange((name) => told.push(name))
    const made = await one.view.put('ä.b', 'first', undefined)
    expect(await one.view.put('ä.b', 'again', undefined)).toBeUndefined()
    expect(await until(() => other.view.get('ä.b') !== undefined)).toBeLessThan(1_000)
    const raced = await Promise.all(
      [one, other].map(({ view }, index) => view.put('ä.b', String(index), made?.revision)),
    )
    expect(raced.filter((entry) => entry !== undefined)).toHaveLength(1)
    await Promise.all([one.view.caughtUp(), other.view.caughtUp()])
    expect(textsOf(one)).toEqual(textsOf(other))
    expect(await one.view.remove('ä.b', made?.revision ?? 0)).toBe(false)
    expect(await one.view.remove('ä.b', one.view.get('ä.b')?.revision ?? 0)).toBe(true)
    await other.view.caughtUp()
    expect([other.view.names(), told]).toEqual([[], ['ä.b', 'ä.b', 'ä.b']])
    // A key that was deleted is made anew.
    expect(await other.view.put('ä.b', 'new', undefined)).toBeDefined()
    expect(textsOf(await join(servers.url))).toEqual(['ä.b=new'])
  })

  test('loses no change when its leader is killed, frozen, or all servers end', async () => {
    const servers = await startNatsServers(file)
    onTestFinished(() => servers.stop())
    const [one, other] = [await join(servers.url), await join(servers.url)]
    await write(one, 'a', '1')
    const killed = await servers.leaderOf(stream)
    await servers.signal(killed, 'SIGKILL')
    await write(one, 'a', '2')
    await write(other, 'b', '1')
    await servers.start(killed)
    await until(() => textsOf(one).join() === 'a=2,b=1' && textsOf(other).join() === 'a=2,b=1')

    const frozen = await servers.leaderOf(stream)
    await servers.signal(frozen, 'SIGSTOP')
    await write(one, 'c', '1')
    await until(() => other.view.get('c') !== undefined)
    await servers.signal(frozen, 'SIGCONT')

    for (const server of [0, 1, 2]) await servers.signal(server, 'SIGKILL')
    await until(() => one.state.lostReason() !== undefined)
    await expect(one.view.put('d', '1', undefined)).rejects.toMatchObject({
      code: 'ServiceUnavailableException',
    })
    expect(textsOf(one)).toEqual(['a=2', 'b=1', 'c=1'])
    for (const server of [0, 1, 2]) await servers.start(server)
    await write(one, 'd', '1')
    await until(() => other.view.get('d') !== undefined)
    expect(textsOf(other)).toEqual(['a=2', 'b=1', 'c=1', 'd=1'])
    expect(other.logged).toContain('the state of cluster can be reached again')
  })

  test('brings a rule of one node into force at another within a second', async () => {
    const servers = await startNatsServers(file)
    onTestFinished(() => servers.stop())
    const one = await openRules((await join(servers.url)).state)
    const other = await openRules((await join(servers.url)).state)
    const tookMs: number[] = []
    for (let index = 0; index < 20; index += 1) {
      await one.create(`r${index}`, payloadOf(`t/${index}`), {})
      tookMs.push(await until(() => other.match(`t/${index}`).length === 1))
      await other.replace(`r${index}`, payloadOf(`u/${index}`))
    }
    expect(Math.max(...tookMs)).toBeLessThan(1_000)
    await until(() => one.match('u/19').length === 1)
    expect(one.all()).toHaveLength(20)
  })
})
