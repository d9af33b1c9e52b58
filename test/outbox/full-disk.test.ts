import { execFileSync, spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { startChild } from '../helpers/child-process.ts'
import { openTestOutbox, temporaryDirectory, textsOf } from './outbox-parts.ts'

/**
 * A limit on the size of files stands in for the full disk: writes past it fail (EFBIG in place of
 * ENOSPC), and it can be lifted while the process runs.
 */
const canLimit = spawnSync('prlimit', ['--version']).status === 0
const limitFiles = 'ulimit -S -f 4000; '

describe.skipIf(!canLimit)('a full disk', () => {
  test('refuses appends, keeps acknowledged records, and accepts appends again with room', async () => {
    const directory = temporaryDirectory()
    const child = startChild(
      new URL('./append-on-limit.ts', import.meta.url),
      [directory],
      limitFiles,
    )
    await child.printedLine(/^refused/)
    execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited'])
    const refusedAt = child.lines.length
    await child.printedLine(/^written/, refusedAt)
    await child.kill()

    const written = child.lines.flatMap((line) => /^written (\d+)/.exec(line)?.[1] ?? [])
    const refusals = new Set(child.lines.filter((line) => line.startsWith('refused')))
    const { outbox } = await openTestOutbox(directory)
    const stored = textsOf(outbox, 'a').map((text) => text.split(' ')[0] ?? '')
    expect([...refusals]).toEqual(['refused OutboxWriteFailed fails'])
    expect(child.lines.filter((line) => /^written .* fails/.test(line))).toEqual([])
    expect(written.length).toBeGreaterThan(5)
    // The last message may have been durable before its acknowledgement could be printed.
    expect(stored.slice(0, written.length)).toEqual(written)
    expect(stored.length - written.length).toBeLessThanOrEqual(1)
    await outbox.close()
  })
})
