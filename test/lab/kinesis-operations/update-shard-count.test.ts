import { expect, test } from 'vitest'
import { hashKeySpace } from '../../../src/base/hash-key.ts'
import { noDelays, rawCall, startLab } from '../lab-fixtures.ts'

interface ListedShard {
  readonly ShardId: string
  readonly HashKeyRange: { readonly StartingHashKey: string; readonly EndingHashKey: string }
}

const StreamName = 's'

async function scaled(from: number, to: number) {
  const lab = await startLab({ statusMs: noDelays })
  lab.ensureStream(StreamName, from)
  const scale = { StreamName, TargetShardCount: to, ScalingType: 'UNIFORM_SCALING' }
  expect(await rawCall(lab, 'UpdateShardCount', scale)).toMatchObject({ status: 200 })
  const list = async (filter: object) => {
    const { output } = await rawCall(lab, 'ListShards', { StreamName, ...filter })
    return output['Shards'] as ListedShard[]
  }
  return { all: await list({}), open: await list({ ShardFilter: { Type: 'AT_LATEST' } }) }
}

// As it was seen of AWS. The shards in all include those that were closed again at once.
test.each([
  [10, 13, 37],
  [5, 3, 7],
  [4, 5, 15],
  [4, 3, 11],
  [2, 4, 6],
  [4, 2, 6],
  [1, 2, 3],
])('UpdateShardCount from %i to %i makes %i shards in all', async (from, to, count) => {
  const { all, open } = await scaled(from, to)
  expect(all).toHaveLength(count)
  expect(open).toHaveLength(to)
  const sizes = open.map(
    ({ HashKeyRange: { StartingHashKey, EndingHashKey } }) =>
      BigInt(EndingHashKey) - BigInt(StartingHashKey) + 1n,
  )
  expect(sizes.reduce((sum, size) => sum + size, 0n)).toBe(hashKeySpace)
})

test('UpdateShardCount from 4 to 3 leaves the shards open that AWS leaves open', async () => {
  const { open } = await scaled(4, 3)
  expect(open.map(({ ShardId }) => Number(ShardId.slice(-12)))).toEqual([6, 9, 10])
})
