/** Leases of consumers on real servers; test/consumers/leases has what a store in memory shows. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { openNatsLeaseTable } from '../../../src/consumers/leases/nats-lease-table.ts'
import { openNatsLeases } from '../../../src/consumers/leases/nats-leases.ts'
import { numbered, putTexts, startConsumer } from '../../consumers/consumer-parts.ts'
import { describeLeaseTable } from '../../consumers/leases/lease-table-contract.ts'
import { startChild } from '../../helpers/child-process.ts'
import type { Child } from '../../helpers/child-process.ts'
import { kinesisClient, startLab } from '../../lab/lab-fixtures.ts'
import { findNatsServer } from './find-nats-server.ts'
import { configOf } from './nats-fixture.ts'
import { startNatsServers } from './nats-servers.ts'
import type { NatsServers } from './nats-servers.ts'

const program = await findNatsServer()
const why = program.isFound ? '' : ` nats-server cannot be had: ${program.reason}`
const script = new URL('./share-until-killed.ts', import.meta.url)
const lookEveryMs = 20

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.sleep(lookEveryMs)
}

const textsOf = (children: readonly Child[]) =>
  children.flatMap(({ lines }) => lines.map((line) => line.split(' ')[1] ?? ''))
/** The shards of which a process has printed records. */
const shardsOf = ({ lines }: Child) => new Set(lines.map((line) => line.split(' ')[0]))

describe.skipIf(!program.isFound)(`leases in NATS${why}`, () => {
  if (!program.isFound) return
  const { file } = program
  let servers: NatsServers
  beforeAll(async () => {
    servers = await startNatsServers(file)
  }, 60_000)
  afterAll(() => servers.stop())

  describe('are a table', () => {
    describeLeaseTable(async () => {
      const config = configOf({ SLUICE_NATS_URL: servers.url, SLUICE_CLUSTER_NAME: randomUUID() })
      return async (scope) => {
        const table = await openNatsLeaseTable({ clock: systemClock }, { config, scope }, undefined)
        onTestFinished(() => table.close())
        return table
      }
    })
  })

  test('let three processes share a stream; one that is killed leaves no record out', async () => {
    const lab = await startLab()
    lab.ensureStream('s', 6)
    const kinesis = kinesisClient(lab)
    const cluster = randomUUID()
    const start = () => startChild(script, [String(lab.port), servers.url, cluster])
    const children = [start(), start(), start()]
    const [one, killed] = children
    if (!one || !killed) throw new Error('no child')
    // Each process has a share in the end.
    let count = 0
    while (children.some((child) => shardsOf(child).size < 2)) {
      await putTexts(kinesis, 's', numbered(100, count), (text) => text)
      count += 100
      await systemClock.sleep(100)
    }
    await killed.kill()
    await putTexts(kinesis, 's', numbered(1_000, count))
    const all = numbered(count + 1_000)
    const hasAll = () => {
      const seen = new Set(textsOf(children))
      return all.every((text) => seen.has(text))
    }
    await until(hasAll)

    // A leader that is killed stops nothing.
    const stream = `KV_SLUICE_${cluster}_CONSUMERS`
    const server = await servers.leaderOf(stream)
    await servers.signal(server, 'SIGKILL')
    await putTexts(kinesis, 's', numbered(1_000, all.length))
    all.push(...numbered(1_000, all.length))
    await until(hasAll)
    await servers.start(server)
    // Repeated is what the killed one had not checkpointed, and a little at each handover.
    expect(textsOf(children).length).toBeLessThan(2 * all.length)
  }, 90_000)

  test('are free at once when a consumer stops', async () => {
    const lab = await startLab()
    lab.ensureStream('s', 4)
    const kinesis = kinesisClient(lab)
    const cluster = randomUUID()
    const checkpoints = openNatsLeases({ servers: servers.url.split(','), cluster })
    const clock = systemClock
    const first = await startConsumer(lab, { stream: 's', checkpoints, clock })
    const second = await startConsumer(lab, { stream: 's', checkpoints, clock })
    await putTexts(kinesis, 's', numbered(40))
    await until(() => first.records.length + second.records.length >= 40)
    await first.consumer.stop()
    const startMs = clock.monotonicMs()
    await putTexts(kinesis, 's', numbered(40, 40))
    const wanted = numbered(40, 40)
    await until(() => wanted.every((text) => second.texts().includes(text)))
    expect(clock.monotonicMs() - startMs).toBeLessThan(5_000)
  }, 60_000)
})
