import { expect, test } from 'vitest'
import { countInChunk, decodeChunk, encodeChunk } from '../../src/cluster/lanes/chunk-codec.ts'
import { createRandom, bytesOf } from '../helpers/random.ts'

test('a chunk is read as it was written', () => {
  const random = createRandom(1)
  for (let round = 0; round < 50; round++) {
    const values = Array.from({ length: random(5) }, () => bytesOf(random(300), random))
    const json = JSON.stringify({ streamName: 'ü'.repeat(random(9)) })
    const data = encodeChunk(json, values)
    expect(decodeChunk(data)).toEqual({ kind: 'records', json, values })
    expect(countInChunk(data)).toBe(values.length)
  }
})

test('no wrong bit and no cut goes unnoticed', () => {
  const data = encodeChunk('{"a":1}', [Buffer.from('one'), Buffer.from('two')])
  for (let bit = 0; bit < data.length * 8; bit++) {
    const damaged = Buffer.from(data)
    const at = bit >>> 3
    damaged[at] = (damaged[at] ?? 0) ^ (1 << (bit & 7))
    expect(decodeChunk(damaged)).toEqual({ kind: 'damaged' })
  }
  for (let length = 0; length < data.length; length++) {
    expect(decodeChunk(data.subarray(0, length))).toEqual({ kind: 'damaged' })
    expect(countInChunk(data.subarray(0, length))).toBeLessThanOrEqual(2)
  }
})
