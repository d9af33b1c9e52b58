import { describe, expect, test } from 'vitest'
import { createGroupCommit } from '../../../src/outbox/store/group-commit.ts'
import type { Append } from '../../../src/outbox/store/group-commit.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

interface Item extends Append {
  readonly name: string
}

const item = (name: string, bytes = 1): Item => ({ name, bytes, requestedMs: 0 })
const key = (sequence: number) => ({ sequence, count: 1 })

/** A group commit over a disk that answers when it is told to. */
function openCommits() {
  const clock = createManualClock(0)
  const writes: {
    names: string
    removals: number[]
    count: number
    done: () => void
    fail: () => void
  }[] = []
  const failures: unknown[] = []
  const commits = createGroupCommit<Item, { readonly sequence: number; readonly count: number }>({
    clock,
    write: (appends, removals) =>
      new Promise((resolve, reject) => {
        writes.push({
          names: appends.map(({ name }) => name).join(' '),
          removals: removals.map(({ sequence }) => sequence),
          count: removals.reduce((sum, { count }) => sum + count, 0),
          done: resolve,
          fail: () => reject(new Error('no space left on device')),
        })
      }),
    onDurable: () => undefined,
    onFailed: (error) => failures.push(error),
    compact(removals) {
      const sequences = new Set(removals.map(({ sequence }) => sequence))
      return Array.from(sequences, (sequence) => ({
        sequence,
        count: removals
          .filter((removal) => removal.sequence === sequence)
          .reduce((sum, { count }) => sum + count, 0),
      }))
    },
    onEnded: () => undefined,
  })
  return { clock, writes, failures, commits }
}

/** Lets what was resolved run on, and a waiting commit begin. */
const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

describe('the group commit', () => {
  test('commits the appends of one turn together, and collects the next group meanwhile', async () => {
    const { commits, writes } = openCommits()
    const first = [commits.append(item('a')), commits.append(item('b'))]
    await settle()
    const second = [commits.append(item('c')), commits.append(item('d'))]
    await settle()
    expect(writes.map(({ names }) => names)).toEqual(['a b'])
    writes[0]?.done()
    await Promise.all(first)
    await settle()
    expect(writes.map(({ names }) => names)).toEqual(['a b', 'c d'])
    writes[1]?.done()
    await Promise.all(second)
  })

  test('bounds a commit by bytes, and takes one append of any size', async () => {
    const { commits, writes } = openCommits()
    const mebibytes = 1024 * 1024
    void commits.append(item('huge', 40 * mebibytes))
    void commits.append(item('a', 10 * mebibytes))
    void commits.append(item('b', 10 * mebibytes))
    for (const names of ['huge', 'a', 'b']) {
      await settle()
      expect(writes.at(-1)?.names).toBe(names)
      writes.at(-1)?.done()
    }
  })

  test('a failed commit rejects what it carried and nothing else', async () => {
    const { commits, writes, failures } = openCommits()
    const failed = commits.append(item('a'))
    await settle()
    const next = commits.append(item('b'))
    writes[0]?.fail()
    await expect(failed).rejects.toMatchObject({
      code: 'OutboxWriteFailed',
      message: 'The records could not be written to disk: no space left on device',
    })
    await settle()
    expect(writes[1]?.names).toBe('b')
    writes[1]?.done()
    await next
    expect(failures).toHaveLength(1)
  })

  test('sends removals along with appends', async () => {
    const { commits, writes } = openCommits()
    commits.remove([key(1), key(2)])
    void commits.append(item('a'))
    await settle()
    expect(writes).toMatchObject([{ names: 'a', removals: [1, 2] }])
  })

  test('lets removals alone wait a little', async () => {
    const { clock, commits, writes } = openCommits()
    commits.remove([key(1)])
    await settle()
    commits.remove([key(2)])
    clock.advance(19)
    await settle()
    expect(writes).toEqual([])
    clock.advance(1)
    await settle()
    expect(writes).toMatchObject([{ names: '', removals: [1, 2] }])
  })

  test('joins removals that pile up, and loses none', async () => {
    const { clock, commits, writes } = openCommits()
    for (let count = 0; count < 25_000; count++) commits.remove([key(count % 3)])
    for (let write = 0; write < 5; write++) {
      clock.advance(20)
      await settle()
      writes[write]?.done()
      await settle()
    }
    expect(writes.flatMap(({ removals }) => removals).length).toBeLessThan(15_000)
    expect(writes.reduce((sum, { count }) => sum + count, 0)).toBe(25_000)
  })

  test('writes removals before further appends after a failure: they make room', async () => {
    const { commits, writes } = openCommits()
    commits.remove([key(1)])
    const failed = commits.append(item('a'))
    await settle()
    const next = commits.append(item('b'))
    writes[0]?.fail()
    await expect(failed).rejects.toThrow(/no space/)
    await settle()
    expect(writes[1]).toMatchObject({ names: '', removals: [1] })
    writes[1]?.done()
    await settle()
    expect(writes[2]).toMatchObject({ names: 'b', removals: [] })
    writes[2]?.done()
    await next
  })

  test('answers appends even while removals fail too, and tries those again later', async () => {
    const { clock, commits, writes } = openCommits()
    commits.remove([key(1)])
    const first = Promise.allSettled([commits.append(item('a'))])
    await settle()
    const second = Promise.allSettled([commits.append(item('b'))])
    for (let write = 0; write < 3; write++) {
      writes[write]?.fail()
      await settle()
    }
    const results = [...(await first), ...(await second)]
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(writes.map(({ names }) => names)).toEqual(['a', '', 'b'])
    clock.advance(1_000)
    await settle()
    expect(writes[3]).toMatchObject({ names: '', removals: [1] })
  })

  test('closes when everything is written, removals too, and refuses later appends', async () => {
    const { commits, writes } = openCommits()
    const append = commits.append(item('a'))
    await settle()
    commits.remove([key(1)])
    const closing = commits.close()
    await expect(commits.append(item('b'))).rejects.toMatchObject({ code: 'OutboxWriteFailed' })
    writes[0]?.done()
    await append
    await settle()
    expect(writes[1]).toMatchObject({ names: '', removals: [1] })
    writes[1]?.done()
    await closing
  })
})
