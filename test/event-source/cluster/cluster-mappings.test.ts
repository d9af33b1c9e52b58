import { describe, expect, test } from 'vitest'
import { leaseOfText } from '../../../src/consumers/leases/lease-text.ts'
import { kinesisClient, startLab } from '../../lab/lab-fixtures.ts'
import { numbered, putTexts } from '../../consumers/consumer-parts.ts'
import { printing, streamArn } from '../mapping-parts.ts'
import type { SentEvent } from '../mapping-parts.ts'
import { createMappingCluster } from './mapping-nodes.ts'
import type { MappingNode } from './mapping-nodes.ts'

async function clusterWith(functions: Readonly<Record<string, string>>, shardCount = 4) {
  const lab = await startLab()
  lab.ensureStream('s', shardCount)
  const kinesis = kinesisClient(lab)
  const cluster = createMappingCluster(lab, functions)
  const [one, other] = [await cluster.join(), await cluster.join()]
  return { lab, kinesis, ...cluster, one, other }
}

const request = {
  EventSourceArn: streamArn('s'),
  FunctionName: 'f',
  StartingPosition: 'TRIM_HORIZON',
}
const spread = (text: string) => text
const allTexts = (nodes: readonly MappingNode[]) => nodes.flatMap((node) => node.texts())
const byNumber = (texts: readonly string[]) => texts.toSorted((a, b) => Number(a) - Number(b))
const shardOf = ({ Records }: SentEvent) => Records[0]?.eventID.split(':')[0] ?? ''
const shardsOf = (node: MappingNode) => new Set(node.events().map(shardOf))
const stateAt = (node: MappingNode, uuid: string) => node.mappings.get(uuid)['State']
const windowOf = (event: SentEvent | undefined) =>
  (event?.['window'] as { readonly start: string } | undefined)?.start
const soon = { timeout: 10_000, interval: 20 }

/** Each text once, and those of a shard in order. */
function expectOnceInOrder(nodes: readonly MappingNode[], texts: readonly string[]): void {
  expect(byNumber(allTexts(nodes))).toEqual(texts)
  for (const node of nodes) {
    for (const shard of shardsOf(node)) {
      const own = node
        .events()
        .filter((event) => shardOf(event) === shard)
        .flatMap(({ Records }) => Records.map(({ kinesis }) => kinesis.sequenceNumber))
      expect(own).toEqual(own.toSorted((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1)))
    }
  }
}

describe('mappings of a cluster', () => {
  test('are one at all nodes, which share the shards', async () => {
    const { kinesis, one, other } = await clusterWith({ 'f.mjs': printing() })
    const uuid = await one.create({ BatchSize: 10 })
    await expect.poll(() => other.mappings.list({}).EventSourceMappings.length, soon).toBe(1)
    expect(other.mappings.get(uuid)).toMatchObject({
      BatchSize: 10,
      FunctionArn: /:f$/.exec(String(one.mappings.get(uuid)['FunctionArn']))?.input,
    })
    // Each has half of the shards in the end.
    let count = 0
    await expect
      .poll(
        async () => {
          await putTexts(kinesis, 's', numbered(20, count), spread)
          count += 20
          return [shardsOf(one).size, shardsOf(other).size].every((size) => size >= 2)
        },
        { timeout: 20_000, interval: 100 },
      )
      .toBe(true)
    await expect.poll(() => allTexts([one, other]).length, soon).toBe(count)
    expectOnceInOrder([one, other], numbered(count))
    await expect.poll(() => other.mappings.get(uuid)['LastProcessingResult'], soon).toBe('OK')
    expect(one.mappings.get(uuid)['LastProcessingResult']).toBe('OK')
  }, 40_000)

  test('go on at once at another node when one stops, with the state of a window', async () => {
    const summing = printing(
      'return { state: [...(event.state ?? []), ...event.Records.map(textOf)] }'.replace(
        'event.state ?? []',
        'Array.isArray(event.state) ? event.state : []',
      ),
    )
    const { kinesis, one, other } = await clusterWith({ 'f.mjs': summing }, 1)
    await one.create({ TumblingWindowInSeconds: 900, BatchSize: 5 })
    await putTexts(kinesis, 's', numbered(20), () => 'k')
    await expect.poll(() => allTexts([one, other]).length, soon).toBe(20)
    const [owner, next] = one.texts().length > 0 ? [one, other] : [other, one]
    expect(next.texts()).toEqual([])
    await owner.stop()
    await putTexts(kinesis, 's', numbered(10, 20), () => 'k')
    await expect.poll(() => next.texts().length, { timeout: 2_000, interval: 20 }).toBe(10)
    // It begins with the state, unless the window has ended meanwhile.
    const isSameWindow = windowOf(owner.events().at(-1)) === windowOf(next.events()[0])
    expect(next.events()[0]?.['state']).toEqual(isSameWindow ? numbered(20) : {})
    expectOnceInOrder([one, other], numbered(30))
  }, 40_000)

  test('go on when the lease of a node runs out, which works on nothing any more', async () => {
    const { kinesis, one, other } = await clusterWith({ 'f.mjs': printing() }, 1)
    const uuid = await one.create({ BatchSize: 5 })
    await putTexts(kinesis, 's', numbered(20), () => 'k')
    await expect.poll(() => allTexts([one, other]).length, soon).toBe(20)
    const [owner, next] = one.texts().length > 0 ? [one, other] : [other, one]
    // Its checkpoints are written.
    await expect.poll(() => next.mappings.get(uuid)['LastProcessingResult'], soon).toBe('OK')
    await new Promise((resolve) => setTimeout(resolve, 100))
    owner.cutOff()
    const sinceMs = performance.now()
    await next.until(() => {
      void putTexts(kinesis, 's', ['99'], () => 'k')
      return next.texts().length > 0
    })
    // The lease and five seconds, ten times as fast, and the machine may be busy.
    expect(performance.now() - sinceMs).toBeLessThan(2_500)
    const count = owner.texts().length
    await putTexts(kinesis, 's', numbered(20, 100), () => 'k')
    await expect.poll(() => next.texts().includes('119'), soon).toBe(true)
    expect(owner.texts()).toHaveLength(count)
    // It takes part again.
    owner.reconnect()
    await next.stop()
    await putTexts(kinesis, 's', numbered(5, 200), () => 'k')
    await expect.poll(() => owner.texts().includes('204'), soon).toBe(true)
  }, 40_000)

  test('are changed, disabled, enabled and deleted at any node', async () => {
    const { kinesis, one, other, store, leaseStore } = await clusterWith({
      'f.mjs': printing(),
      'g.mjs': printing("console.log('SECOND')"),
    })
    const uuid = await one.create({ BatchSize: 10 })
    await putTexts(kinesis, 's', numbered(40), spread)
    await expect.poll(() => allTexts([one, other]).length, soon).toBe(40)

    const changed = await other.mappings.update(uuid, { FunctionName: 'g' })
    expect(changed).toMatchObject({ State: 'Updating' })
    for (const node of [one, other]) {
      await expect.poll(() => stateAt(node, uuid), soon).toBe('Enabled')
      expect(node.mappings.get(uuid)['FunctionArn']).toMatch(/:g$/)
    }
    await putTexts(kinesis, 's', numbered(40, 40), spread)
    await expect.poll(() => allTexts([one, other]).length, soon).toBe(80)
    const seconds = [one, other].flatMap(({ logLines }) =>
      logLines.filter(({ msg }) => msg === 'SECOND'),
    )
    expect(seconds.length).toBeGreaterThan(0)

    expect(await other.mappings.update(uuid, { Enabled: false })).toMatchObject({
      State: 'Disabling',
    })
    for (const node of [one, other])
      await expect.poll(() => stateAt(node, uuid), soon).toBe('Disabled')
    await putTexts(kinesis, 's', numbered(10, 80), spread)
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(allTexts([one, other])).toHaveLength(80)
    expect(await one.mappings.update(uuid, { Enabled: true })).toMatchObject({ State: 'Enabling' })
    await expect.poll(() => allTexts([one, other]).length, soon).toBe(90)
    expectOnceInOrder([one, other], numbered(90))

    expect(await other.mappings.delete(uuid)).toMatchObject({ State: 'Deleting' })
    await expect.poll(() => stateAt(one, uuid), soon).toBe('Deleting')
    await expect(one.mappings.update(uuid, { BatchSize: 1 })).rejects.toMatchObject({
      code: 'ResourceInUseException',
    })
    for (const node of [one, other]) {
      await expect.poll(() => node.mappings.list({}).EventSourceMappings, soon).toEqual([])
      expect(() => node.mappings.get(uuid)).toThrow('does not exist')
    }
    expect([...store.entries.keys(), ...leaseStore.entries.keys()]).toEqual([])
  }, 40_000)

  test('of one shard are shared, too: a node that joins gets some of them', async () => {
    const names = ['f', 'g', 'h', 'i']
    const lab = await startLab()
    lab.ensureStream('s', 1)
    const functions = Object.fromEntries(names.map((name) => [`${name}.mjs`, printing()]))
    const cluster = createMappingCluster(lab, functions)
    const one = await cluster.join()
    for (const FunctionName of names) await one.create({ FunctionName })
    const ownersOf = () =>
      [...cluster.leaseStore.entries.values()].flatMap(({ value }) => {
        const stored = leaseOfText(value.toString())
        return stored?.lease.owner?.split('@')[1] ?? []
      })
    await expect.poll(ownersOf, soon).toEqual(['n1', 'n1', 'n1', 'n1'])
    await cluster.join()
    await expect
      .poll(() => ownersOf().toSorted((a, b) => a.localeCompare(b)), soon)
      .toEqual(['n1', 'n1', 'n2', 'n2'])
    // It stays so.
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    expect(ownersOf().toSorted((a, b) => a.localeCompare(b))).toEqual(['n1', 'n1', 'n2', 'n2'])
    await putTexts(kinesisClient(lab), 's', numbered(10))
    await one.until(() => one.texts().length === 20)
  }, 40_000)

  test('at LATEST skip no record that is put after they are Enabled at any node', async () => {
    const { kinesis, one, other } = await clusterWith({ 'f.mjs': printing() })
    await putTexts(kinesis, 's', numbered(20), spread)
    // Times of records have no parts of a second for readers that begin at one.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    const created = await one.mappings.create({ ...request, StartingPosition: 'LATEST' })
    expect(created).toMatchObject({ State: 'Creating' })
    const uuid = String(created['UUID'])
    await expect.poll(() => other.mappings.list({}).EventSourceMappings.length, soon).toBe(1)
    await expect.poll(() => stateAt(other, uuid), soon).toBe('Enabled')
    await putTexts(kinesis, 's', numbered(40, 100), spread)
    await expect.poll(() => allTexts([one, other]).length, soon).toBe(40)
    expectOnceInOrder([one, other], numbered(40, 100))
  }, 40_000)

  test('of two changes at once one is refused', async () => {
    const { one, other, store } = await clusterWith({ 'f.mjs': printing() })
    const made = await Promise.allSettled(
      [one, other].map(({ mappings }) => mappings.create(request)),
    )
    const refused = made.filter(({ status }) => status === 'rejected')
    expect(refused).toMatchObject([{ reason: { code: 'ResourceConflictException' } }])
    await expect.poll(() => [...store.entries.keys()].length, soon).toBe(1)
    const [created] = made.flatMap((each) =>
      each.status === 'fulfilled' ? [String(each.value['UUID'])] : [],
    )
    if (created === undefined) throw new Error('nothing was made')
    for (const node of [one, other])
      await expect.poll(() => stateAt(node, created), soon).toBe('Enabled')
    const sizes = [50, 60]
    const updates = await Promise.allSettled(
      [one, other].map(({ mappings }, index) =>
        mappings.update(created, { BatchSize: sizes[index] }),
      ),
    )
    const lost = updates.filter(({ status }) => status === 'rejected')
    expect(lost).toMatchObject([{ reason: { code: 'ResourceInUseException' } }])
    // What changes nothing is in nobody's way.
    for (const { mappings } of [one, one, other])
      await mappings.setTags(created, () => ({ a: 'b' }))
    await other.mappings.update(created, { BatchSize: 70 })
    await expect
      .poll(() => one.mappings.get(created), soon)
      .toMatchObject({ BatchSize: 70, State: 'Enabled' })
    await one.mappings.update(created, { BatchSize: 80 })
    await one.mappings.setTags(created, () => ({}))
    // Tags that meet are all there.
    await Promise.all(
      [one, other].map(({ mappings, node }) =>
        mappings.setTags(created, (tags) => ({ ...tags, [node]: '1' })),
      ),
    )
    await expect
      .poll(() => one.mappings.tags(created), soon)
      .toEqual({ [one.node]: '1', [other.node]: '1' })
  }, 40_000)

  test('show the last result of any node, and why it failed', async () => {
    const failing = printing("if (textOf(event.Records[0]) === 'bad') throw new Error('no')")
    const { kinesis, one, other } = await clusterWith({ 'f.mjs': failing }, 1)
    const uuid = await one.create({ MaximumRetryAttempts: 0, BatchSize: 1 })
    const results = () =>
      [one, other].map(({ mappings }) => mappings.get(uuid)['LastProcessingResult'])
    expect(results()[0]).toBe('No records processed')
    await putTexts(kinesis, 's', ['bad'])
    const failed = 'PROBLEM: Function call failed: Error: no'
    await expect.poll(results, soon).toEqual([failed, failed])
    await putTexts(kinesis, 's', ['good'])
    await expect.poll(results, soon).toEqual(['OK', 'OK'])
  }, 40_000)

  test('refuse changes while the cluster cannot be reached', async () => {
    const { one, other } = await clusterWith({ 'f.mjs': printing() })
    const uuid = await one.create({})
    one.cutOff()
    for (const change of [
      () => one.mappings.create({ ...request, FunctionName: 'f' }),
      () => one.mappings.update(uuid, { BatchSize: 7 }),
      () => one.mappings.delete(uuid),
      () => one.mappings.setTags(uuid, () => ({ a: 'b' })),
    ]) {
      await expect(change()).rejects.toMatchObject({ code: 'ServiceUnavailableException' })
    }
    await expect.poll(() => other.mappings.list({}).EventSourceMappings.length, soon).toBe(1)
    await other.mappings.update(uuid, { BatchSize: 8 })
    one.reconnect()
    await expect.poll(() => one.mappings.get(uuid)['BatchSize'], soon).toBe(8)
  }, 40_000)

  test('an entry of another release is left out and told of', async () => {
    const { one, store } = await clusterWith({ 'f.mjs': printing() })
    const uuid = await one.create({})
    const entry = store.entries.get(`mapping.${uuid}`)
    const later = store.connect()
    await later.put(`mapping.${uuid}`, Buffer.from('{"uuid": 1}'), entry?.revision ?? 0)
    await later.create('mapping.x', Buffer.from('[]'))
    await expect
      .poll(() => one.mappings.unusableFiles(), soon)
      .toEqual([`mapping.${uuid}`, 'mapping.x'].toSorted())
    expect(stateAt(one, uuid)).toBe('Enabled')
    expect(one.logLines.map(({ msg }) => msg)).toContain(
      'an event source mapping of cluster test is not usable; its last good version stays',
    )
  }, 40_000)
})
