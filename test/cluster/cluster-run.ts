import type { LedgerCounts, NewRecord } from '../../src/outbox/outbox.ts'
import { createRandom, oneOf } from '../helpers/random.ts'
import type { Random } from '../helpers/random.ts'
import { createCluster, healMs, strictRecord } from './open-cluster.ts'
import type { Cluster } from './open-cluster.ts'

const resendMs = 4_000
const devicesMax = 6
const messagesEach = 5
const faultyMs = 10_000
const leaseAndMoreMs = 12_000

/** What a run has shown. */
export interface ClusterRunResult {
  /** What is wrong. */
  readonly findings: readonly string[]
  readonly acknowledged: number
  readonly twice: number
  readonly ledger: LedgerCounts
}

/**
 * Devices, nodes and servers with faults that follow from the seed, until everything is calm.
 *
 * @param hasDisk whether the outboxes are on disk, which takes longer
 */
export async function runCluster(seed: number, hasDisk: boolean): Promise<ClusterRunResult> {
  const random = createRandom(seed)
  const cluster = createCluster(random, { hasDisk })
  const { findings, streams, clock, move } = cluster
  const nodeCount = 2 + random(2)
  for (let index = 0; index < nodeCount; index++) await cluster.add()
  const devices = Array.from({ length: 2 + random(devicesMax - 1) }, (_, index) =>
    createDevice(cluster, `device-${seed}-${index}`, createRandom(seed, index + 1)),
  )
  const published = Promise.all(devices.map((device) => device.publish()))
  const endMs = clock.monotonicMs() + faultyMs
  while (clock.monotonicMs() < endMs) {
    provoke(cluster, random)
    await move(500 + random(4_000))
  }
  await cluster.heal()
  await cluster.moveUntil(published.then(() => undefined))
  const calmMs = clock.monotonicMs() + healMs
  const isCalm = () => cluster.servers.chunks().length === 0 && cluster.appending() === 0
  while (!isCalm() && clock.monotonicMs() < calmMs) await move(100)
  if (!isCalm()) findings.push(`${cluster.servers.chunks().length} chunks are left in the log`)
  // The lease of a node that has died at last runs out, and the others share its lanes.
  await move(leaseAndMoreMs)
  cluster.checkShares()
  cluster.checkLetters()
  cluster.checkLag()
  const ledger = cluster.ledger()
  await cluster.end()
  check(cluster, devices, ledger)
  return { findings, ledger, ...countsOf(streams.arrivals, devices) }
}

/** Something goes wrong, and ends after a while. */
function provoke(cluster: Cluster, random: Random): void {
  const { nodes, clock, network, servers, streams } = cluster
  if (nodes.length === 0) return
  const node = oneOf(nodes, random)
  const forMs = 500 + random(oneOf([2_000, 9_000, 16_000], random))
  const faults: (() => void)[] = [
    () => {
      if (node.clock.isFrozen()) return
      node.clock.freeze()
      clock.after(forMs, () => node.clock.thaw())
    },
    () => {
      node.link.isPartitioned = true
      clock.after(forMs, () => {
        if (!node.clock.isKilled()) node.link.isPartitioned = false
      })
    },
    () => {
      network.hasLeader = false
      clock.after(Math.min(forMs, 7_000), () => Object.assign(network, { hasLeader: true }))
    },
    () => {
      servers.isFull = true
      clock.after(Math.min(forMs, 3_000), () => Object.assign(servers, { isFull: false }))
    },
    () => {
      void cluster.replace(node, 'kill')
    },
    () => {
      if (node.clock.isFrozen()) return
      void cluster.replace(node, 'stop')
    },
    () => {
      const { faults: ofStreams } = streams
      Object.assign(ofStreams, {
        late: random(200),
        answerLost: random(200),
        throttled: random(200),
      })
    },
    () => {
      streams.stuck.add('two')
      clock.after(forMs, () => streams.stuck.delete('two'))
    },
  ]
  oneOf(faults, random)()
}

/** Publishes its messages one after the other, each until a node has acknowledged it. */
function createDevice(cluster: Cluster, key: string, random: Random) {
  const acknowledged: number[] = []
  const { clock } = cluster

  async function publishOne(number: number): Promise<void> {
    for (;;) {
      const node = cluster.nodes.length > 0 ? oneOf(cluster.nodes, random) : undefined
      if (node !== undefined && !node.clock.isFrozen()) {
        const answer = cluster.append(node, recordsOf(key, number)).then(
          () => true,
          () => false,
        )
        // The device hears nothing of a node that is frozen or dead.
        const isAcknowledged = await Promise.race([answer, clock.sleep(resendMs).then(() => false)])
        if (isAcknowledged) break
      }
      await clock.sleep(200 + random(500))
    }
    acknowledged.push(number)
  }

  return {
    key,
    acknowledged,
    async publish(): Promise<void> {
      for (let number = 0; number < messagesEach; number++) {
        await publishOne(number)
        await clock.sleep(random(3_000))
      }
    },
  }
}

/** Of each message two streams get a record, and one of the records may be one that is refused. */
function recordsOf(key: string, number: number): readonly NewRecord[] {
  const isBad = number % 5 === 3 || number % 5 === 4
  return [
    strictRecord('one', key, `${isBad ? 'bad' : 'good'} ${number}`),
    strictRecord('two', key, `good ${number}`),
    strictRecord('two', `${key} beside`, `good ${number}`),
  ]
}

type Device = ReturnType<typeof createDevice>

function check(cluster: Cluster, devices: readonly Device[], ledger: LedgerCounts): void {
  const { findings, streams, servers } = cluster
  const arrived = new Map<string, number[]>()
  for (const { streamName, partitionKey, text } of streams.arrivals) {
    const number = Number(text.split(' ').at(-1))
    const name = `${streamName} ${partitionKey}`
    const numbers = arrived.get(name) ?? []
    arrived.set(name, numbers)
    if (!numbers.includes(number)) numbers.push(number)
  }
  const letters = servers
    .deadLettersAfter(0, 100_000)
    .map(({ data }) => Buffer.from(data).toString('latin1'))
  for (const { key, acknowledged } of devices) {
    for (const number of acknowledged) {
      for (const record of recordsOf(key, number)) {
        const text = record.data.toString()
        const isBad = text.startsWith('bad')
        const stream = isBad
          ? 'errors'
          : 'streamName' in record.destination
            ? record.destination.streamName
            : ''
        const has =
          isBad && number % 2 === 1
            ? letters.some((letter) => letter.includes(text) && letter.includes(key))
            : arrived.get(`${stream} ${record.partitionKey}`)?.includes(number)
        if (has !== true) findings.push(`${key} lost ${text} of ${stream}`)
      }
    }
  }
  for (const [name, numbers] of arrived) {
    if (name.startsWith('errors')) continue
    const inOrder = numbers.toSorted((left, right) => left - right)
    if (numbers.join() !== inOrder.join()) findings.push(`${name} got ${numbers.join(' ')}`)
  }
  const { accepted, queued } = ledger
  if (accepted !== cluster.storedRecords() || queued !== 0) {
    findings.push(`the ledger has ${JSON.stringify(ledger)} of ${cluster.storedRecords()} records`)
  }
}

function countsOf(arrivals: Cluster['streams']['arrivals'], devices: readonly Device[]) {
  const acknowledged = devices.reduce((sum, device) => sum + device.acknowledged.length, 0)
  const once = new Set(arrivals.map((arrival) => JSON.stringify(arrival)))
  return { acknowledged, twice: arrivals.length - once.size }
}
