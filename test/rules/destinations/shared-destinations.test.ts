/** Topic rule destinations of a cluster: two nodes that share a state in memory. */
import { describe, expect, test } from 'vitest'
import { createTestCluster } from '../../cluster/state/state-fixtures.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

import { answer, open, url } from './destination-parts.ts'

async function openTwo() {
  const clock = createManualClock()
  const cluster = createTestCluster(clock)
  const nodes = [await cluster.join(), await cluster.join()] as const
  const one = await open({ node: nodes[0], clock })
  const other = await open({ node: nodes[1], clock })
  one.start()
  other.start()
  return { cluster, nodes, one, other, clock }
}

describe('the nodes of a cluster', () => {
  test('share a destination, and its token is taken at any of them', async () => {
    const { one, other } = await openTwo()
    const { arn } = await one.create(url)
    await one.settle()
    await other.settle()
    expect(other.get(arn).status).toBe('IN_PROGRESS')
    expect([one.asked.length, other.asked.length]).toEqual([1, 0])
    await other.confirm(one.confirmation().confirmationToken)
    await one.settle()
    expect([one, other].map((node) => node.disabledReason(url))).toEqual([undefined, undefined])
    await one.update(arn, 'DISABLED')
    await other.settle()
    expect(other.get(arn).status).toBe('DISABLED')
    await other.delete(arn)
    await one.settle()
    expect(() => one.get(arn)).toThrow('was denied')
  })

  test('make one destination of a rule that all of them compile at once', async () => {
    const { cluster, one, other } = await openTwo()
    await Promise.all([one.ensure(url), other.ensure(url)])
    await one.settle()
    await other.settle()
    expect(cluster.store.entries.size).toBe(1)
    expect(one.asked.length + other.asked.length).toBe(1)
    expect(one.list({ maxResults: 10 })).toEqual(other.list({ maxResults: 10 }))
    expect([...one.lines, ...other.lines]).toEqual([expect.stringContaining('was asked')])
  })

  test('ask no more for one that another node has deleted', async () => {
    const { one, other, clock } = await openTwo()
    one.answerWith(() => Promise.resolve(answer(500)))
    const { arn } = await one.create(url)
    await one.settle()
    await other.delete(arn)
    await one.settle()
    clock.advance(10_000)
    await one.settle()
    expect(one.asked).toHaveLength(1)
  })

  test('change nothing while what they share cannot be reached, and send as before', async () => {
    const { nodes, one } = await openTwo()
    const { arn } = await one.create(url)
    await one.settle()
    await one.confirm(one.confirmation().confirmationToken)
    nodes[0].faults.disconnect()
    const unavailable = { code: 'ServiceUnavailableException' }
    await expect(one.update(arn, 'DISABLED')).rejects.toMatchObject(unavailable)
    await expect(one.create(`${url}/2`)).rejects.toMatchObject(unavailable)
    await one.ensure(`${url}/3`)
    expect(one.lines.at(-1)).toContain('could not be made')
    expect(one.disabledReason(url)).toBeUndefined()
  })
})
