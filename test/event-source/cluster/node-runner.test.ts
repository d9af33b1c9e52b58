import { expect, test } from 'vitest'
import { createNodeRunner } from '../../../src/event-source/cluster/node-runner.ts'
import { createRandom } from '../../helpers/random.ts'

const seeds = Array.from({ length: 30 }, (_, seed) => seed)
const turn = () => new Promise((resolve) => setImmediate(resolve))

test.each(seeds)(
  'a node works with one version of a mapping, the last one in the end: %i',
  async (seed) => {
    const random = createRandom(seed)
    const running = new Set<string>()
    const errors: unknown[] = []
    let most = 0
    const runner = createNodeRunner<{ readonly generation: string }>(
      ({ generation }) => {
        running.add(generation)
        most = Math.max(most, running.size)
        return {
          positioned: Promise.resolve(),
          lastResult: () => '',
          async stop() {
            for (let turns = random(4); turns > 0; turns--) await turn()
            running.delete(generation)
          },
        }
      },
      (thrown) => errors.push(thrown),
    )
    let wanted: string | undefined
    for (let change = 0; change < 20; change++) {
      wanted = random(3) === 0 ? undefined : String(random(4))
      runner.want(wanted === undefined ? undefined : { generation: wanted })
      for (let turns = random(3); turns > 0; turns--) await turn()
    }
    await runner.settled()
    expect([...running]).toEqual(wanted === undefined ? [] : [wanted])
    const stopped = runner.stop(0)
    runner.want({ generation: 'late' })
    await stopped
    expect([[...running], errors, most <= 1]).toEqual([[], [], true])
  },
)

test('a version that cannot be started is told of, and the next one is', async () => {
  const told: unknown[] = []
  const running: string[] = []
  const runner = createNodeRunner<{ readonly generation: string }>(
    ({ generation }) => {
      if (generation === 'bad') throw new Error('no')
      running.push(generation)
      return { positioned: Promise.resolve(), lastResult: () => '', stop: async () => undefined }
    },
    (thrown) => told.push(thrown),
  )
  runner.want({ generation: 'bad' })
  await runner.settled()
  expect(told).toEqual([new Error('no')])
  runner.want({ generation: 'good' })
  await runner.settled()
  expect(running).toEqual(['good'])
})
