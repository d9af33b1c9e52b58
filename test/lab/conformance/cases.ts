import type { Bench } from './bench.ts'
import { consumerCases } from './consumer-cases.ts'
import { putCases } from './put-cases.ts'
import { readCases } from './read-cases.ts'
import { reshardCases } from './reshard-cases.ts'
import { settingCases } from './setting-cases.ts'
import { streamCases } from './stream-cases.ts'
import type { Peer } from './targets.ts'

/** One thing that the API Reference says, and what each server makes of it. */
export interface Case {
  /** As docs/KINESIS.md names it. */
  readonly name: string
  /** Gives what is compared with `expected`: plain data. */
  readonly run: (bench: Bench) => Promise<unknown>
  readonly expected: unknown
  /** Those that are not asked, and why; a text of docs/KINESIS.md, as the next. */
  readonly notAsked?: Partial<Readonly<Record<Peer, string>>>
  /** Those that do something else, and what. */
  readonly differences?: Partial<Readonly<Record<Peer, string>>>
}

export const cases: readonly Case[] = [
  ...streamCases,
  ...putCases,
  ...readCases,
  ...reshardCases,
  ...consumerCases,
  ...settingCases,
]
