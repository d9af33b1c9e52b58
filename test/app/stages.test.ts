import { expect, test } from 'vitest'
import { createStages, lateStartMs } from '../../src/app/stages.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

test('stages stop one after the other, the last one first', async () => {
  const stages = createStages({ clock: systemClock })
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
  const stages = createStages({ clock: systemClock })
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

test('a stage that hangs is not waited for once the signal aborts', async () => {
  const clock = createManualClock()
  const stopping = new AbortController()
  const stages = createStages({ clock, signal: stopping.signal })
  const stopped: string[] = []
  await stages.open(
    'a',
    () => Promise.resolve('a'),
    (it) => void stopped.push(it),
  )
  const hanging = stages.open('b', () => new Promise<string>(() => undefined))
  stopping.abort()
  await expect(hanging).rejects.toMatchObject({ name: 'AbortError' })
  await expect(stages.open('c', () => Promise.resolve('c'))).rejects.toMatchObject({
    name: 'AbortError',
  })
  const stop = stages.stop()
  clock.advance(lateStartMs)
  await stop
  expect(stopped).toEqual(['a'])
  expect(clock.timerCount).toBe(0)
})

test.each(['before the others', 'when they have stopped'])(
  'a stage that starts after the abort is stopped, %s',
  async (when) => {
    const clock = createManualClock()
    const stopping = new AbortController()
    const stages = createStages({ clock, signal: stopping.signal })
    const stopped: string[] = []
    const push = (it: string) => void stopped.push(it)
    await stages.open('a', () => Promise.resolve('a'), push)
    const finishing = new AbortController()
    const opening = stages.open(
      'late',
      () =>
        new Promise<string>((resolve) =>
          finishing.signal.addEventListener('abort', () => resolve('late')),
        ),
      push,
    )
    stopping.abort()
    await expect(opening).rejects.toMatchObject({ name: 'AbortError' })
    const stop = stages.stop()
    if (when === 'before the others') finishing.abort()
    else clock.advance(lateStartMs)
    await stop
    finishing.abort()
    const order = ['late', 'a']
    await expect
      .poll(() => stopped)
      .toEqual(when === 'before the others' ? order : order.toReversed())
  },
)
