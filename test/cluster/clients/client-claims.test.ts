import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createClientClaims } from '../../../src/cluster/clients/client-claims.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { createRandom } from '../../helpers/random.ts'

const nodeNames = ['a', 'b', 'c'] as const
type NodeName = (typeof nodeNames)[number]

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Nodes of which each has some clients, and messages between them that take their time. */
function createNodes(seed: number, delayMs: number) {
  const clock = createManualClock()
  const random = createRandom(seed)
  const cut = new Set<NodeName>()
  const lastDueMs = new Map<string, number>()
  const listeners = new Map<
    NodeName,
    { readonly receive: (data: Uint8Array) => void; readonly reconnected: () => void }
  >()

  function send(from: NodeName, data: Uint8Array): void {
    for (const to of nodeNames) {
      if (to === from || cut.has(from) || cut.has(to)) continue
      const pair = `${from}${to}`
      const dueMs = Math.max(lastDueMs.get(pair) ?? 0, clock.monotonicMs() + random(delayMs))
      lastDueMs.set(pair, dueMs)
      clock.after(dueMs - clock.monotonicMs(), () => {
        if (!cut.has(from) && !cut.has(to)) listeners.get(to)?.receive(data)
      })
    }
  }

  const nodes = new Map(
    nodeNames.map((name) => {
      const clients = new Set<string>()
      const discarded: string[] = []
      const bus = {
        publish: (data: Uint8Array) => send(name, data),
        listen(receive: (data: Uint8Array) => void, reconnected: () => void) {
          listeners.set(name, { receive, reconnected })
        },
      }
      const claims = createClientClaims({ bus, clock }, name)
      claims.start({
        takeOver(clientId) {
          clients.delete(clientId)
          claims.gone(clientId)
        },
        discardSession: (clientId) => discarded.push(clientId),
        versionTold: () => undefined,
      })
      return [name, { clients, claims, discarded }] as const
    }),
  )
  const nodeOf = (name: NodeName) => {
    const node = nodes.get(name)
    if (node === undefined) throw new Error(name)
    return node
  }

  return {
    nodeOf,
    connect(name: NodeName, clientId: string, isClean = false) {
      const { clients, claims } = nodeOf(name)
      clients.add(clientId)
      claims.connected(clientId, isClean)
    },
    disconnect(name: NodeName, clientId: string) {
      const { clients, claims } = nodeOf(name)
      clients.delete(clientId)
      claims.gone(clientId)
    },
    cut: (name: NodeName) => cut.add(name),
    heal(name: NodeName) {
      if (cut.delete(name)) listeners.get(name)?.reconnected()
    },
    async pass(ms: number) {
      for (let passed = 0; passed < ms; passed += 10) {
        await turn()
        clock.advance(10)
      }
      await turn()
    },
    /** The nodes that have the client. */
    having: (clientId: string) => nodeNames.filter((name) => nodeOf(name).clients.has(clientId)),
  }
}

describe('a client id in a cluster', () => {
  test('has its last connection alone', async () => {
    const nodes = createNodes(1, 30)
    nodes.connect('a', 'x')
    await nodes.pass(100)
    nodes.connect('b', 'x')
    await nodes.pass(100)
    expect(nodes.having('x')).toEqual(['b'])
    await nodes.pass(10_000)
    nodes.connect('a', 'x')
    await nodes.pass(100)
    expect(nodes.having('x')).toEqual(['a'])
  })

  test('loses its sessions at other nodes when it asks for a new one', async () => {
    const nodes = createNodes(1, 30)
    nodes.connect('b', 'x')
    nodes.disconnect('b', 'x')
    nodes.connect('a', 'x', true)
    nodes.connect('a', 'y', false)
    await nodes.pass(100)
    expect(nodes.nodeOf('b').discarded).toEqual(['x'])
  })

  test('keeps the younger of two connections when a node is cut off no more', async () => {
    const nodes = createNodes(1, 30)
    nodes.connect('a', 'x')
    nodes.connect('c', 'y')
    await nodes.pass(100)
    nodes.cut('a')
    await nodes.pass(10_000)
    nodes.connect('b', 'x')
    nodes.connect('a', 'y')
    await nodes.pass(10_000)
    expect([nodes.having('x'), nodes.having('y')]).toEqual([
      ['a', 'b'],
      ['a', 'c'],
    ])
    nodes.heal('a')
    await nodes.pass(200)
    expect([nodes.having('x'), nodes.having('y')]).toEqual([['b'], ['a']])
  })

  test('has one connection at most, whatever comes when', async () => {
    const ids = ['x', 'y']
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({
          act: fc.constant('connect' as const),
          node: fc.constantFrom(...nodeNames),
          id: fc.constantFrom(...ids),
          thenMs: fc.constantFrom(0, 0, 10, 40, 200, 6_000),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({
          act: fc.constantFrom('cut' as const, 'heal' as const),
          node: fc.constantFrom(...nodeNames),
          id: fc.constant('x'),
          thenMs: fc.constantFrom(0, 100, 6_000),
        }),
      },
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 12 }),
        fc.nat(),
        fc.constantFrom(1, 50, 500),
        async (steps, seed, delayMs) => {
          const nodes = createNodes(seed, delayMs)
          for (const { act, node, id, thenMs } of steps) {
            if (act === 'connect') nodes.connect(node, id)
            else if (act === 'cut') nodes.cut(node)
            else nodes.heal(node)
            await nodes.pass(thenMs)
          }
          for (const name of nodeNames) nodes.heal(name)
          await nodes.pass(7_000)
          for (const id of ids) expect(nodes.having(id).length).toBeLessThan(2)
          nodes.connect('b', 'x')
          await nodes.pass(2_000)
          expect(nodes.having('x')).toEqual(['b'])
        },
      ),
      { numRuns: 150 },
    )
  })
})
