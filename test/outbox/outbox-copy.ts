import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { temporaryDirectory } from './outbox-parts.ts'

/**
 * The outbox as a crash leaves it. The copy begins with the pages that say which transaction is the
 * last one, and a transaction writes to no page of the one before it: while this reads, no second
 * one begins. A page that is being written can be read in part, which no crash leaves behind: the
 * file is read again until these pages are the same before and after.
 */
export function copyOf(directory: string): string {
  const copy = temporaryDirectory()
  mkdirSync(path.join(copy, 'outbox'))
  const file = path.join('outbox', 'data.mdb')
  writeFileSync(path.join(copy, file), readAtRest(path.join(directory, file)))
  return copy
}

/** The two meta pages of LMDB. */
const metaBytes = 2 * 4_096

function readAtRest(file: string): Buffer {
  let before = readFileSync(file)
  for (;;) {
    const after = readFileSync(file)
    if (after.subarray(0, metaBytes).equals(before.subarray(0, metaBytes))) return after
    before = after
  }
}
