import { expect, test } from 'vitest'
import { LaneLostError, LogFullError, chunkBytesMax } from '../../src/cluster/log/replicated-log.ts'
import type {
  Chunk,
  LaneProgress,
  ReplicatedLog,
  StoredChunk,
  Watermarks,
} from '../../src/cluster/log/replicated-log.ts'

/** A log of its own, with nothing in it. */
export interface EmptyLog {
  /** Opens it as one more node. */
  readonly node: () => Promise<ReplicatedLog>
  /** Waits for something that the log does, on whatever clock it has. */
  readonly settled: <Result>(work: Promise<Result>) => Promise<Result>
}

/** @param bytesMax that its chunks may take, where that is less than usual */
export type OpenEmptyLog = (bytesMax?: number) => Promise<EmptyLog>

const lane = 3

export const chunkOf = (text: string, destination = 'a', lane_ = lane): Chunk => ({
  lane: lane_,
  destination,
  data: Buffer.from(text),
})

export const textOf = ({ data }: { readonly data: Uint8Array }) => Buffer.from(data).toString()

/** Reads until there are so many chunks. */
export async function readSome(
  log: ReplicatedLog,
  count: number,
  {
    after = {},
    destination,
    lane: from = lane,
  }: {
    readonly after?: Watermarks
    readonly destination?: string
    readonly lane?: number
  } = {},
): Promise<readonly StoredChunk[]> {
  const ending = new AbortController()
  const found: StoredChunk[] = []
  for await (const chunk of log.read(from, after, ending.signal, destination)) {
    found.push(chunk)
    if (found.length === count) ending.abort()
  }
  return found
}

/** What each implementation of the log promises. */
export function describeLog(openEmpty: OpenEmptyLog): void {
  test('chunks are read in the order of the calls, and each lane by itself', async () => {
    const { node, settled } = await openEmpty()
    const log = await node()
    const calls = [
      log.append([chunkOf('1'), chunkOf('other', 'a', 4), chunkOf('2', 'b')]),
      log.append([chunkOf('3')]),
      log.append([]),
      log.append([chunkOf('4'), chunkOf('5')]),
    ]
    await settled(Promise.all(calls))
    const found = await settled(readSome(log, 5))
    expect(found.map(textOf)).toEqual(['1', '2', '3', '4', '5'])
    expect(found.map(({ destination }) => destination)).toEqual(['a', 'b', 'a', 'a', 'a'])
    const sequences = found.map(({ sequence }) => sequence)
    expect(sequences).toEqual([...sequences].toSorted((left, right) => left - right))
    expect(new Set(found.map((chunk) => chunk.lane))).toEqual(new Set([lane]))
    expect((await settled(readSome(log, 1, { lane: 4 }))).map(textOf)).toEqual(['other'])
  })

  test('a reader waits for what comes, and ends when its signal aborts', async () => {
    const { node, settled } = await openEmpty()
    const [log, other] = [await node(), await node()]
    const read = readSome(log, 2)
    await settled(other.append([chunkOf('early')]))
    await settled(other.append([chunkOf('late')]))
    expect((await settled(read)).map(textOf)).toEqual(['early', 'late'])
    const ending = new AbortController()
    const rest = (async () => {
      for await (const chunk of log.read(5, {}, ending.signal)) return chunk
      return 'ended'
    })()
    ending.abort()
    expect(await settled(rest)).toBe('ended')
  })

  test('a reader begins after the watermarks, with all of a destination that has none', async () => {
    const { node, settled } = await openEmpty()
    const log = await node()
    await settled(log.append([chunkOf('1'), chunkOf('x', 'b'), chunkOf('2'), chunkOf('3')]))
    const [, , second] = await settled(readSome(log, 4))
    const after = { a: second?.sequence ?? 0 }
    const some = await settled(readSome(log, 2, { after }))
    expect(some.map(textOf)).toEqual(['x', '3'])
    const ofOne = await settled(readSome(log, 1, { after, destination: 'a' }))
    expect(ofOne.map(textOf)).toEqual(['3'])
    expect((await settled(readSome(log, 1, { destination: 'b' }))).map(textOf)).toEqual(['x'])
  })

  test('of a batch with something wrong in it nothing is stored', async () => {
    const { node, settled } = await openEmpty()
    const log = await node()
    const tooLarge = { ...chunkOf(''), data: Buffer.alloc(chunkBytesMax + 1) }
    await expect(settled(log.append([chunkOf('1'), tooLarge]))).rejects.toThrow('bytes')
    await expect(settled(log.append([chunkOf('2', 'no.token')]))).rejects.toThrow('no.token')
    await expect(settled(log.append([chunkOf('3', 'a', 16)]))).rejects.toThrow('16')
    const many = Array.from({ length: 901 }, () => chunkOf('4'))
    await expect(settled(log.append(many))).rejects.toThrow('901')
    const largest = { ...chunkOf(''), data: Buffer.alloc(chunkBytesMax, 1) }
    await settled(log.append([largest, ...many.slice(2)]))
    const found = await settled(readSome(log, 900))
    expect(found[0]?.data.length).toBe(chunkBytesMax)
    expect(found.slice(1).every((chunk) => textOf(chunk) === '4')).toBe(true)
  })

  test('progress is written by whoever knows the last one', async () => {
    const { node, settled } = await openEmpty()
    const [log, other] = [await node(), await node()]
    const before = await settled(log.progress(lane))
    expect(before).toMatchObject({ lane, revision: 0 })
    expect(before.data.length).toBe(0)
    const write = (by: ReplicatedLog, revision: number, text: string, of = lane) =>
      settled(by.writeProgress({ lane: of, revision, data: Buffer.from(text) }))
    const first = await write(log, 0, 'first')
    await expect(write(other, 0, 'late')).rejects.toBeInstanceOf(LaneLostError)
    const second = await write(other, first.revision, 'second')
    await expect(write(log, first.revision, 'zombie')).rejects.toBeInstanceOf(LaneLostError)
    await write(log, 0, 'of another lane', 4)
    const last = await settled(log.progress(lane))
    expect({ ...last, data: textOf(last) }).toEqual({
      lane,
      revision: second.revision,
      data: 'second',
    })
  })

  test('dead letters are stored with progress, or not at all', async () => {
    const { node, settled } = await openEmpty()
    const log = await node()
    const letters = ['d1', 'd2', 'd3'].map((text) => Buffer.from(text))
    const data = Buffer.from('1')
    const written = await settled(log.writeProgress({ lane, revision: 0, data }, letters))
    const lost = log.writeProgress({ lane, revision: 0, data: Buffer.from('2') }, letters)
    await expect(settled(lost)).rejects.toBeInstanceOf(LaneLostError)
    const other = await settled(
      log.writeProgress({ lane: 9, revision: 0, data }, [Buffer.from('d4')]),
    )
    const all = await settled(log.deadLetters(0, 10))
    expect(all.map((letter) => [letter.lane, textOf(letter)])).toEqual([
      [3, 'd1'],
      [3, 'd2'],
      [3, 'd3'],
      [9, 'd4'],
    ])
    expect(all.map(({ sequence }) => sequence)).toEqual([
      ...written.deadLetters,
      ...other.deadLetters,
    ])
    const [, second = 0] = written.deadLetters
    const some = await settled(log.deadLetters(second, 1))
    expect(some.map(textOf)).toEqual(['d3'])
    await settled(log.forget(lane, {}, written.deadLetters.slice(0, 2)))
    await settled(log.forget(lane, {}, written.deadLetters.slice(0, 1)))
    expect((await settled(log.deadLetters(0, 10))).map(textOf)).toEqual(['d3', 'd4'])
    const [third] = some
    await settled(log.forgetDeadLetters(third?.lane === 0 ? 1 : 0, third?.sequence ?? 0))
    expect((await settled(log.deadLetters(0, 10))).map(textOf)).toEqual(['d3', 'd4'])
    await settled(log.forgetDeadLetters(third?.lane ?? 0, third?.sequence ?? 0))
    expect((await settled(log.deadLetters(0, 10))).map(textOf)).toEqual(['d4'])
  })

  test('watchers see the last progress of each lane and each change', async () => {
    const { node, settled } = await openEmpty()
    const [log, other] = [await node(), await node()]
    const write = async (of: number, revision: number, text: string) =>
      (await settled(log.writeProgress({ lane: of, revision, data: Buffer.from(text) }))).revision
    const first = await write(1, 0, 'old')
    const second = await write(1, first, 'one')
    await write(2, 0, 'two')
    const ending = new AbortController()
    const seen = createArrivals<LaneProgress>()
    other.watchProgress((progress) => seen.arrive(progress), ending.signal)
    const both = await settled(seen.count(2))
    expect(both.map((progress) => [progress.lane, textOf(progress)])).toEqual([
      [1, 'one'],
      [2, 'two'],
    ])
    await write(1, second, 'changed')
    const last = (await settled(seen.count(3))).at(-1)
    expect(last && [last.lane, textOf(last)]).toEqual([1, 'changed'])
    ending.abort()
  })

  test('nodes tell that they live and that they go', async () => {
    const { node, settled } = await openEmpty()
    const [log, other] = [await node(), await node()]
    await settled(log.announce('one', Buffer.from('early')))
    await settled(log.announce('one', Buffer.from('alive')))
    const ending = new AbortController()
    const seen = createArrivals<string>()
    other.watchNodes(({ node: name, data }) => {
      seen.arrive(`${name} ${data === undefined ? 'gone' : Buffer.from(data).toString()}`)
    }, ending.signal)
    expect(await settled(seen.count(1))).toEqual(['one alive'])
    await settled(other.announce('two', Buffer.from('new')))
    await settled(log.announce('one', undefined))
    expect(await settled(seen.count(3))).toEqual(['one alive', 'two new', 'one gone'])
    ending.abort()
  })

  test('what is settled is forgotten, and nothing else', async () => {
    const { node, settled } = await openEmpty()
    const log = await node()
    await settled(log.append([chunkOf('1'), chunkOf('x', 'b'), chunkOf('2'), chunkOf('3')]))
    await settled(log.append([chunkOf('else', 'a', 4)]))
    await settled(log.writeProgress({ lane, revision: 0, data: Buffer.from('p') }))
    const [, , second] = await settled(readSome(log, 4))
    await settled(log.forget(lane, { a: second?.sequence ?? 0 }))
    expect((await settled(readSome(log, 2))).map(textOf)).toEqual(['x', '3'])
    expect((await settled(readSome(log, 1, { lane: 4 }))).map(textOf)).toEqual(['else'])
    expect(textOf(await settled(log.progress(lane)))).toBe('p')
    // A sequence of something else than a dead letter of the lane removes nothing.
    await settled(log.forget(lane, {}, [(second?.sequence ?? 0) + 1]))
    expect((await settled(readSome(log, 2))).map(textOf)).toEqual(['x', '3'])
  })

  test('a closed log rejects, and what another node does goes on', async () => {
    const { node, settled } = await openEmpty()
    const [log, other] = [await node(), await node()]
    await settled(log.append([chunkOf('1')]))
    await settled(log.close())
    await expect(settled(log.append([chunkOf('2')]))).rejects.toThrow('closed')
    await settled(other.append([chunkOf('3')]))
    expect((await settled(readSome(other, 2))).map(textOf)).toEqual(['1', '3'])
  })
}

/** For a log that refuses chunks beyond some bytes. */
export function describeFullLog(openEmpty: OpenEmptyLog): void {
  test('a full log refuses whole batches, takes progress, and has room again', async () => {
    const { node, settled } = await openEmpty(1_048_576)
    const log = await node()
    const large = (): Chunk => ({ ...chunkOf(''), data: Buffer.alloc(300_000, 1) })
    await settled(log.append([large(), large()]))
    const refused = log.append([chunkOf('small'), large(), large()])
    await expect(settled(refused)).rejects.toBeInstanceOf(LogFullError)
    await settled(log.writeProgress({ lane, revision: 0, data: Buffer.from('p') }))
    const stored = await settled(readSome(log, 2))
    expect(stored.map(({ data }) => data.length)).toEqual([300_000, 300_000])
    await settled(log.forget(lane, { a: stored[1]?.sequence ?? 0 }))
    await settled(log.append([chunkOf('small'), large(), large()]))
    expect((await settled(readSome(log, 3))).map(({ data }) => data.length)).toEqual([
      5, 300_000, 300_000,
    ])
  })
}

function createArrivals<Item>() {
  const items: Item[] = []
  let look: (() => void) | undefined
  return {
    arrive(item: Item): void {
      items.push(item)
      look?.()
    },
    count: (count: number) =>
      new Promise<readonly Item[]>((resolve) => {
        look = () => {
          if (items.length >= count) resolve([...items])
        }
        look()
      }),
  }
}
