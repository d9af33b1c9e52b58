import {
  array,
  assert,
  asyncProperty,
  constant,
  constantFrom,
  integer,
  nat,
  oneof,
  record,
} from 'fast-check'
import { expect } from 'vitest'
import { settle, startIngress, until } from '../helpers.ts'
import type { TestIngress } from '../helpers.ts'
import { openWorker } from './worker.ts'
import type { Worker, WorkerOptions } from './worker.ts'

/** Clients that come and go, each as it always is. */
const clients: readonly (WorkerOptions & { readonly isKept: boolean })[] = [
  { version: 4, clean: true, isKept: false },
  { version: 4, clean: false, isKept: true },
  { version: 5, clean: true, isKept: false, properties: { receiveMaximum: 2 } },
  {
    version: 5,
    clean: false,
    isKept: true,
    properties: { receiveMaximum: 3, sessionExpiryInterval: 600 },
  },
]

type Step =
  | { readonly kind: 'join' | 'kill' | 'leave' | 'unsubscribe'; readonly client: number }
  | { readonly kind: 'acknowledge'; readonly client: number; readonly count: number }
  | { readonly kind: 'publish'; readonly qos: 0 | 1 | 2; readonly count: number }

const client = nat({ max: clients.length - 1 })
const count = integer({ min: 1, max: 6 })
const steps = array(
  oneof(
    { weight: 3, arbitrary: record({ kind: constant('join' as const), client }) },
    {
      weight: 4,
      arbitrary: record({ kind: constant('acknowledge' as const), client, count }),
    },
    {
      weight: 4,
      arbitrary: record({
        kind: constant('publish' as const),
        qos: constantFrom(0 as const, 1 as const, 2 as const),
        count,
      }),
    },
    {
      weight: 2,
      arbitrary: record({ kind: constantFrom('kill' as const, 'leave' as const), client }),
    },
    { weight: 1, arbitrary: record({ kind: constant('unsubscribe' as const), client }) },
  ),
  { maxLength: 30 },
)

/** What is true of the group, and what became of each message. */
function createModel() {
  /** Message -> the connection that has it and has not acknowledged it. */
  const holders = new Map<number, Worker>()
  /** Message -> clients that were sent it before and did not acknowledge it. */
  const tried = new Map<number, Set<string>>()
  const done = new Set<number>()
  const owed = new Set<number>()
  const seen = new Map<Worker, number>()
  /** Worker and QoS -> the latest message that came to it first. */
  const newest = new Map<string, number>()

  return {
    owed,
    done,
    holders,
    /** Looks at what has come since the last look. */
    look(worker: Worker): void {
      for (const packet of worker.received.slice(seen.get(worker) ?? 0)) {
        const message = Number(packet.payload.toString())
        expect(done, 'a message that is done comes again').not.toContain(message)
        expect(holders.get(message), 'a message comes to two').toBeUndefined()
        const before = tried.get(message)
        expect(packet.dup, 'DUP').toBe(before?.has(worker.clientId) === true && packet.dup)
        // Those of QoS 0 do not wait with the others.
        const line = `${worker.clientId}, QoS ${packet.qos}`
        if (before === undefined) {
          expect(message, 'the order').toBeGreaterThan(newest.get(line) ?? -1)
          newest.set(line, message)
        }
        if (packet.qos === 0) done.add(message)
        else holders.set(message, worker)
      }
      seen.set(worker, worker.received.length)
    },
    acknowledged(message: number): void {
      holders.delete(message)
      done.add(message)
    },
    gone(worker: Worker): void {
      for (const [message, holder] of holders) {
        if (holder !== worker) continue
        holders.delete(message)
        tried.set(message, (tried.get(message) ?? new Set()).add(worker.clientId))
      }
    },
  }
}

/**
 * Lets clients of both versions join, leave and fail at random, and looks at what each gets.
 *
 * @returns the number of groups
 */
export async function checkSharing(numRuns: number, seed: number): Promise<number> {
  const broker = await startIngress()
  let runs = 0
  await assert(
    asyncProperty(steps, (given) => run(broker, ++runs, given)),
    { numRuns, seed },
  )
  return runs
}

async function run(
  { port, ingress, metric }: TestIngress,
  number: number,
  given: readonly Step[],
): Promise<void> {
  const topic = `jobs/${number}`
  const filter = `$share/g/${topic}`
  const model = createModel()
  const open = new Map<number, Worker>()
  /** Clients whose sessions have the subscription. */
  const sessions = new Set<number>()
  let published = 0

  /** Connected clients that are subscribed. */
  const joined = new Set<number>()
  const endIfEmpty = () => {
    if (joined.size === 0 && sessions.size === 0) model.owed.clear()
  }
  const settled = async () => {
    for (const worker of open.values()) await worker.ping()
    await settle()
    for (const worker of open.values()) model.look(worker)
  }
  const close = async (at: number, how: 'kill' | 'leave') => {
    const worker = open.get(at)
    if (worker === undefined) return
    open.delete(at)
    joined.delete(at)
    const before = await metric('mqttConnections')
    await worker[how]()
    await until(async () => (await metric('mqttConnections')) < before)
    model.gone(worker)
    endIfEmpty()
  }
  const acknowledge = async (worker: Worker, max: number) => {
    let left = max
    for (const packet of worker.received) {
      const message = Number(packet.payload.toString())
      if (left === 0 || model.holders.get(message) !== worker || packet.qos === 0) continue
      left--
      model.acknowledged(message)
      await worker.acknowledge(packet)
    }
  }

  for (const step of given) {
    switch (step.kind) {
      case 'join': {
        const { isKept, ...options } = clients[step.client] ?? { isKept: false }
        let worker = open.get(step.client)
        if (worker === undefined) {
          worker = await openWorker(port, `${number}-${step.client}`, options)
          open.set(step.client, worker)
        }
        await worker.subscribe(filter)
        joined.add(step.client)
        if (isKept) sessions.add(step.client)
        break
      }
      case 'kill':
      case 'leave':
        await close(step.client, step.kind)
        break
      case 'unsubscribe': {
        const worker = open.get(step.client)
        if (worker === undefined) break
        await worker.unsubscribe(filter)
        joined.delete(step.client)
        sessions.delete(step.client)
        endIfEmpty()
        break
      }
      case 'acknowledge': {
        const worker = open.get(step.client)
        if (worker !== undefined) await acknowledge(worker, step.count)
        break
      }
      case 'publish':
        for (let at = 0; at < step.count; at++) {
          const message = published++
          const hasMember = joined.size > 0 || (step.qos > 0 && sessions.size > 0)
          if (hasMember) model.owed.add(message)
          const payload = Buffer.from(`${message}`)
          const about = { retain: false, transport: 'http', timestampMs: 0 } as const
          await ingress.publish({ topic, payload, qos: step.qos, ...about })
        }
    }
    await settled()
  }

  // Somebody who takes and acknowledges everything.
  const last = await openWorker(port, `${number}-last`, { version: 5 })
  await last.subscribe(filter)
  open.set(-1, last)
  joined.add(-1)
  for (const at of clients.keys()) await close(at, 'kill')
  for (;;) {
    await settled()
    if (![...model.holders.values()].includes(last)) break
    await acknowledge(last, Infinity)
  }
  const missing = [...model.owed].filter((message) => !model.done.has(message))
  expect(missing, 'messages that came to nobody').toEqual([])
  last.kill()
  for (const at of sessions) await ingress.disconnect(`${number}-${at}`, { cleanSession: true })
}
