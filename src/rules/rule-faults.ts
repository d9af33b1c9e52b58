import { createHash } from 'node:crypto'
import { createBoundedMap } from '../base/bounded-map.ts'
import type { RuleFile } from './rule-files.ts'

/** The rules whose files cannot be used now, as far as somebody has been told of them. */
export interface RuleFaults {
  /** @param file its content; undefined when it cannot be read */
  note(name: string, file: RuleFile | undefined): void
  clear(name: string): void
  has(name: string): boolean
  /** The digest of the content that has been told of; undefined when it could not be read. */
  known(name: string): string | undefined
  readonly count: number
}

/** A folder may hold any number of files; the faults of this many are remembered. */
const faultsMax = 10_000

export function createRuleFaults(): RuleFaults {
  const known = createBoundedMap<string, string | undefined>(faultsMax)
  return {
    note: (name, file) => known.set(name, file && digestOf(file)),
    clear: (name) => known.delete(name),
    has: (name) => known.has(name),
    known: (name) => known.get(name),
    get count() {
      return known.size
    },
  }
}

/** A digest, because the files themselves may have 512 KiB each. */
export function digestOf({ payload, metadata }: RuleFile): string {
  const hash = createHash('sha256').update(`${payload.length} `).update(payload)
  if (metadata) hash.update(' metadata ').update(metadata)
  return hash.digest('base64')
}
