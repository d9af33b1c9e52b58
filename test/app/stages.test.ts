import { expect, test } from 'vitest'
import { createStages } from '../../src/app/stages.ts'

test('stages stop one after the other, the last one first', async () => {
  const stages = createStages()
  const stopped: string[] = []
  for (const name of ['a', 'b', 'c']) {
    expect(stages.add(name, (it) => void stopped.push(it))).toBe(name)
  }
  await stages.stop()
  expect(stopped).toEqual(['c', 'b', 'a'])
  await stages.stop()
  expect(stopped).toHaveLength(3)
})

test('a stage that fails to stop does not keep others from stopping', async () => {
  const stages = createStages()
  const stopped: string[] = []
  stages.add('a', (it) => void stopped.push(it))
  stages.add('b', () => Promise.reject(new Error('b is stuck')))
  stages.add('c', () => {
    throw new Error('c is stuck')
  })
  stages.add('d', (it) => void stopped.push(it))
  await expect(stages.stop()).rejects.toThrow('c is stuck')
  expect(stopped).toEqual(['d', 'a'])
})
