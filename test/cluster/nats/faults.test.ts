/** What the log promises while servers are killed and frozen. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { LaneLostError } from '../../../src/cluster/log/replicated-log.ts'
import type { ReplicatedLog } from '../../../src/cluster/log/replicated-log.ts'
import { chunkOf, textOf } from '../log-contract.ts'
import type { Nats } from '../../../src/cluster/nats/open-nats.ts'
import { findNatsServer } from './find-nats-server.ts'
import { configOf, openNode } from './nats-fixture.ts'
import { startNatsServers } from './nats-servers.ts'
import type { NatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`
const lanes = [0, 7, 15]

/** Appends numbered chunks to some lanes until it is ended. */
function startAppending(log: ReplicatedLog, name: string) {
  let acknowledged = 0
  const ending = new AbortController()
  let arrived: (() => void) | undefined
  const ended = (async () => {
    while (!ending.signal.aborted) {
      const text = `${name} ${acknowledged}`
      await log.append(lanes.map((lane) => chunkOf(text, 'a', lane)))
      acknowledged++
      arrived?.()
    }
  })()
  return {
    /** Resolves when so many more are acknowledged. */
    async more(count: number): Promise<void> {
      const wanted = acknowledged + count
      await Promise.race([
        ended,
        new Promise<void>((resolve) => {
          arrived = () => acknowledged >= wanted && resolve()
        }),
      ])
    },
    /** @returns how many are acknowledged */
    async end(): Promise<number> {
      ending.abort()
      await ended
      return acknowledged
    },
  }
}

/** Reads a lane from the beginning, until the last text of each name has come. */
function startReading(log: ReplicatedLog, lane: number) {
  const ending = new AbortController()
  const texts: string[] = []
  let look: (() => void) | undefined
  const ended = (async () => {
    for await (const chunk of log.read(lane, {}, ending.signal)) {
      texts.push(textOf(chunk))
      look?.()
    }
  })()
  return async (lasts: readonly string[]): Promise<readonly string[]> => {
    await new Promise<void>((resolve) => {
      look = () => lasts.every((last) => texts.includes(last)) && resolve()
      look()
    })
    ending.abort()
    await ended
    return texts
  }
}

describe.skipIf(!program.isFound)(`three NATS servers${why}`, () => {
  if (!program.isFound) return
  let servers: NatsServers
  beforeAll(async () => {
    servers = await startNatsServers(program.file)
  })
  afterAll(() => servers.stop())

  async function expectAllThrough(
    cluster: string,
    disturb: (more: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const config = configOf({ SLUICE_NATS_URL: servers.url, SLUICE_CLUSTER_NAME: cluster })
    const [one, two, three] = [
      await openNode(config),
      await openNode(config),
      await openNode(config),
    ]
    const writers = [startAppending(one.log, 'one'), startAppending(two.log, 'two')]
    const readers = lanes.map((lane) => startReading(three.log, lane))
    const more = async () => {
      await Promise.all(writers.map((writer) => writer.more(50)))
    }
    await more()
    await disturb(more)
    const counts = await Promise.all(writers.map((writer) => writer.end()))
    const wanted = counts.map((count, index) =>
      Array.from({ length: count }, (_, number) => `${index === 0 ? 'one' : 'two'} ${number}`),
    )
    const lasts = wanted.map((texts) => texts.at(-1) ?? '')
    for (const read of readers) {
      const texts = await read(lasts)
      // Each writer's chunks are all there, once, and in the order of its calls.
      expect(texts.filter((text) => text.startsWith('one'))).toEqual(wanted[0])
      expect(texts.filter((text) => text.startsWith('two'))).toEqual(wanted[1])
    }
    expect(counts.every((count) => count > 100)).toBe(true)
  }

  test('nothing acknowledged is lost or there twice when leaders are killed', async () => {
    await expectAllThrough('killed', async (more) => {
      for (let kill = 0; kill < 3; kill++) {
        const leader = await servers.leaderOf('SLUICE_killed')
        await servers.signal(leader, 'SIGKILL')
        await more()
        await servers.start(leader)
        await more()
      }
    })
  })

  test('nor when all servers are killed at once', async () => {
    await expectAllThrough('outage', async (more) => {
      await Promise.all([0, 1, 2].map((server) => servers.signal(server, 'SIGKILL')))
      await Promise.all([0, 1, 2].map((server) => servers.start(server)))
      await more()
    })
  })

  test('nor when a leader is frozen, and goes on after another one was elected', async () => {
    await expectAllThrough('frozen', async (more) => {
      const leader = await servers.leaderOf('SLUICE_frozen')
      await servers.signal(leader, 'SIGSTOP')
      await more()
      await servers.signal(leader, 'SIGCONT')
      await more()
    })
  })

  test('of writers of one progress each knows whether it was the one', async () => {
    const config = configOf({ SLUICE_NATS_URL: servers.url, SLUICE_CLUSTER_NAME: 'counted' })
    const nodes = [await openNode(config), await openNode(config)]
    const ending = new AbortController()
    const count = async ({ log }: { readonly log: ReplicatedLog }): Promise<number> => {
      let written = 0
      while (!ending.signal.aborted) {
        const { revision, data } = await log.progress(5)
        const next = Buffer.from(String(Number(Buffer.from(data).toString()) + 1))
        try {
          await log.writeProgress({ lane: 5, revision, data: next }, [next])
          written++
        } catch (thrown) {
          if (!(thrown instanceof LaneLostError)) throw thrown
        }
      }
      return written
    }
    const counting = nodes.map(count)
    for (let kill = 0; kill < 2; kill++) {
      const leader = await servers.leaderOf('SLUICE_counted')
      await servers.signal(leader, 'SIGKILL')
      await servers.start(leader)
    }
    ending.abort()
    const written = (await Promise.all(counting)).reduce((sum, each) => sum + each, 0)
    const log = nodes[0]?.log
    const last = await log?.progress(5)
    expect(last && textOf(last)).toBe(String(written))
    const letters = (await log?.deadLetters(0, 100_000)) ?? []
    expect(letters.map(textOf)).toEqual(Array.from({ length: written }, (_, each) => `${each + 1}`))
  })

  test.each([
    [
      'is gone',
      (manager: Nats['manager'], stream: string, name: string) =>
        manager.consumers.delete(stream, name),
    ],
    [
      'is alive and delivers nothing',
      (manager: Nats['manager'], stream: string, name: string) =>
        manager.consumers.pause(stream, name, new Date(Date.now() + 600_000)),
    ],
  ])('a reader that %s is replaced by one that goes on', async (what, disturb) => {
    const cluster = `reader-${what.length}`
    const stream = `SLUICE_${cluster}`
    const config = configOf({ SLUICE_NATS_URL: servers.url, SLUICE_CLUSTER_NAME: cluster })
    const { log, nats, lines } = await openNode(config)
    await log.append([chunkOf('0', 'a', lanes[0])])
    const texts: string[] = []
    for await (const chunk of log.read(0, {}, new AbortController().signal)) {
      texts.push(textOf(chunk))
      if (texts.length === 5) break
      if (texts.length === 1 || texts.length === 3) {
        const readers = await nats.manager.consumers.list(stream).next()
        await Promise.all(readers.map(({ name }) => disturb(nats.manager, stream, name)))
        await log.append(['1', '2'].map((text) => chunkOf(`${texts.length}${text}`, 'a', 0)))
      }
    }
    expect(texts).toEqual(['0', '11', '12', '31', '32'])
    const line = 'a reader of the log stood still'
    expect(lines.includes(line)).toBe(what !== 'is gone')
  })
})
