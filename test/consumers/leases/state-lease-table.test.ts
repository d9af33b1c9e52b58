import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { isPassing } from '../../../src/consumers/leases/lease-writer.ts'
import { openNatsLeases } from '../../../src/consumers/leases/nats-leases.ts'
import { checkpointed, renewed } from '../../../src/consumers/leases/lease.ts'
import type { Lease } from '../../../src/consumers/leases/lease.ts'
import { openStateLeaseTable } from '../../../src/consumers/leases/state-lease-table.ts'
import type { CheckpointScope } from '../../../src/consumers/checkpoints.ts'
import { createTestCluster, settle } from '../../cluster/state/state-fixtures.ts'
import type { TestCluster } from '../../cluster/state/state-fixtures.ts'
import { describeLeaseTable } from './lease-table-contract.ts'
import { lease } from './leases.ts'

const scope = { application: 'a', streamArn: 'arn', streamCreatedMs: 1 }

async function openAt(cluster: TestCluster, of: CheckpointScope = scope) {
  const { state, faults } = await cluster.join()
  const table = await openStateLeaseTable(state, {
    scope: of,
    place: state.place,
    close: () => undefined,
  })
  onTestFinished(() => table.close())
  return { table, faults }
}

const longState = (seed: string) => `${seed}${'😀ä'.repeat(300_000)}`
const withState = (state: string) => ({ kind: 'after', sequenceNumber: '1', state }) as const

describe('leases in the state of a cluster', () => {
  describeLeaseTable(async () => {
    const cluster = createTestCluster()
    return async (of) => (await openAt(cluster, of)).table
  })

  test('a long state is stored in parts, which go with the next one', async () => {
    const cluster = createTestCluster()
    const [{ table: one }, { table: other }] = [await openAt(cluster), await openAt(cluster)]
    const first = lease({})
    await one.create(first)
    const second = checkpointed(first, withState(longState('x')))
    expect(await one.replace(first, second)).toBe(true)
    expect(await other.list()).toEqual([second])
    const count = cluster.store.entries.size
    expect(count).toBeGreaterThan(3)
    // A renewal writes the lease alone.
    const before = [...cluster.store.entries.values()].map(({ revision }) => revision)
    const third = renewed(second)
    expect(await one.replace(second, third)).toBe(true)
    const after = [...cluster.store.entries.values()].map(({ revision }) => revision)
    expect(after.filter((revision) => !before.includes(revision))).toHaveLength(1)
    // A writer that is refused leaves no parts.
    expect(await other.replace(second, checkpointed(second, withState(longState('y'))))).toBe(false)
    expect(cluster.store.entries.size).toBe(count)
    expect(await other.replace(third, checkpointed(third, withState('short')))).toBe(true)
    expect(cluster.store.entries.size).toBe(1)
    expect(await one.list()).toMatchObject([{ checkpoint: { state: 'short' } }])
  })

  test('writes are told to the other processes', async () => {
    const cluster = createTestCluster()
    const [{ table: one }, { table: other }] = [await openAt(cluster), await openAt(cluster)]
    const told: Lease[] = []
    other.onWritten?.((written) => told.push(written))
    await one.create(lease({}))
    await one.replace(lease({}), renewed(lease({})))
    await settle()
    expect(told).toEqual([lease({}), renewed(lease({}))])
    expect(other.known?.()).toEqual([renewed(lease({}))])
  })

  test('a store that cannot be reached may be reached later', async () => {
    const { table, faults } = await openAt(createTestCluster())
    await table.create(lease({}))
    faults.disconnect()
    for (const call of [
      () => table.list(),
      () => table.replace(lease({}), renewed(lease({}))),
      () => table.create(lease({ shardId: '2' })),
    ]) {
      const thrown: unknown = await call().catch((error: unknown) => error)
      expect(thrown).toBeInstanceOf(Error)
      expect(isPassing(thrown)).toBe(true)
    }
    expect(table.known?.()).toEqual([lease({})])
    faults.reconnect()
    expect(await table.replace(lease({}), renewed(lease({})))).toBe(true)
  })

  test('a lease of another release is told of', async () => {
    const cluster = createTestCluster()
    const { table } = await openAt(cluster)
    const { state } = await cluster.join()
    await state.view('lease-a').put('arn 1 s', '{"format": 2}', undefined)
    await expect(table.list()).rejects.toMatchObject({
      code: 'LeaseTableUnusable',
      message: 'lease-a.arn=201=20s: what cluster test holds of it is no lease of this release',
    })
  })
})

test.each([
  [{ servers: '' }, 'servers: it names no server'],
  [{ servers: 'http://nats-0' }, 'servers is not usable: server 1 must be a URL such as nats://'],
  [{ servers: 'nats-0', cluster: 'a b' }, 'cluster'],
  [
    { servers: 'nats-0', certificateFile: 'c.pem' },
    'keyFile is not set: a client certificate needs its key',
  ],
  [{ servers: 'nats-0', failoverMs: 999 }, 'failoverMs: it must be a whole number from 1000 on'],
])('the options %j are refused', (options, message) => {
  expect(() => openNatsLeases(options)).toThrow(message)
})

test('servers that do not answer are told of', async () => {
  const hasty = {
    ...systemClock,
    after: (ms: number, callback: () => void) => systemClock.after(ms / 100, callback),
  }
  const checkpoints = openNatsLeases({ servers: ['nats://127.0.0.1:1', 'nats://127.0.0.1:2'] })
  const reads = {
    describeStream: async () => ({ arn: 'arn', createdMs: 1 }),
    listShards: async () => [],
    serviceNowMs: () => 1,
  }
  const silent = { warn: () => undefined, error: () => undefined }
  await expect(
    checkpoints.follow(
      { reads, clock: hasty, logger: silent },
      {
        application: 'a',
        from: { type: 'TRIM_HORIZON' },
        signal: new AbortController().signal,
        runShard: async () => undefined,
      },
    ),
  ).rejects.toMatchObject({
    code: 'LeaseTableUnusable',
    message: expect.stringMatching(/^the leases in 127.0.0.1:1, 127.0.0.1:2: no server answered/),
  })
})
