import { stat } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { openShadows, temporaryFolder } from '../device-services/shadow-parts.ts'

const shadowsCount = 10_000
const inFlight = 100
const mebibyte = 1_048_576

type Store = Awaited<ReturnType<typeof openShadows>>['store']

async function countOf(store: Store): Promise<number> {
  let count = 0
  let after: readonly [string, string] | undefined
  do {
    const page = await store.list({ prefix: '', after, max: 1_000 })
    count += page.found.length
    after = page.last
  } while (after !== undefined)
  return count
}

test('10,000 shadows of 8 KB, written twice, stay within bounds in memory and on disk', async () => {
  const folder = await temporaryFolder()
  const { ask, store, close } = await openShadows(folder)
  const write = async (index: number, round: number) => {
    const text = String(round).padEnd(8_100, 'x')
    const answers = await ask('update', { state: { reported: { text } } }, `thing-${index}/shadow`)
    return Object.keys(answers).includes('update/accepted')
  }
  const before = process.memoryUsage().rss
  let most = 0
  for (const round of [1, 2]) {
    for (let first = 0; first < shadowsCount; first += inFlight) {
      const indexes = Array.from({ length: inFlight }, (_, offset) => first + offset)
      const accepted = await Promise.all(indexes.map((index) => write(index, round)))
      expect(accepted).toEqual(indexes.map(() => true))
      const { heapUsed, external } = process.memoryUsage()
      most = Math.max(most, heapUsed + external)
    }
  }
  expect(await countOf(store)).toBe(shadowsCount)
  const { size } = await stat(path.join(folder, 'data.mdb'))
  const grown = (process.memoryUsage().rss - before) / mebibyte
  console.log(
    `file ${(size / mebibyte).toFixed(0)} MiB, heap and buffers ${(most / mebibyte).toFixed(0)} MiB, RSS grew by ${grown.toFixed(0)} MiB`,
  )
  // 10,000 x 8 KB are 79 MiB, and LMDB gives such a row whole pages.
  expect(size / mebibyte).toBeLessThan(300)
  // The mapped file counts in RSS; what the process itself holds does not grow with the shadows.
  expect(most / mebibyte).toBeLessThan(256)
  await close()
  const again = await openShadows(folder)
  expect(await countOf(again.store)).toBe(shadowsCount)
  expect(await again.ask('get', '', 'thing-7/shadow')).toHaveProperty('get/accepted')
}, 600_000)
