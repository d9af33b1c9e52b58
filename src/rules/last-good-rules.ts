import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { messageOf } from '../base/errors.ts'
import { readIfPresent } from '../storage/file-reads.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import type { RuleEntry } from './rule-entry.ts'
import type { RuleFile } from './rule-files.ts'

/**
 * Copies of the rules in force, so that a rule whose file is found damaged at a start still runs.
 *
 *   <folder>/<rule>.json   {"rulesDir", "payload", "metadata", "createdAt"}
 *
 * Copies are written in the background, one after the other, and are not flushed: a crash may lose
 * a copy or leave half of one, which then counts as absent.
 */
export interface LastGoodRules {
  /** Undefined when there is no copy of this rule, or one of another rules folder. */
  read(name: string): Promise<RuleFile | undefined>
  /** The rule came into force, changed, or was removed: its copy follows. */
  follow(name: string): void
  /** Removes the copies of all other rules. */
  keepOnly(names: ReadonlySet<string>): Promise<void>
  /** Resolves when all copies are written. */
  idle(): Promise<void>
}

interface LastGoodRulesDependencies {
  readonly entryOf: (name: string) => RuleEntry | undefined
  readonly logger: Pick<Logger, 'warn'>
}

interface LastGoodRulesOptions {
  /** Where the copies are. */
  readonly folder: string
  readonly rulesDir: string
}

const copySchema = Type.Object({
  rulesDir: Type.String(),
  payload: Type.String(),
  metadata: Type.Optional(Type.String()),
  createdAt: Type.Number(),
})
const copyValidator = Compile(copySchema)
const ending = '.json'

export function createLastGoodRules(
  { entryOf, logger }: LastGoodRulesDependencies,
  { folder, rulesDir }: LastGoodRulesOptions,
): LastGoodRules {
  const copyOf = (name: string) => path.join(folder, `${name}${ending}`)
  /** Names whose copies may be outdated; the rules in force bound them. */
  const waiting = new Set<string>()
  let writing: Promise<void> | undefined

  async function write(name: string): Promise<void> {
    const entry = entryOf(name)
    if (!entry) return rm(copyOf(name), { force: true })
    const text = copyText(entry, rulesDir)
    const present = await readIfPresent(copyOf(name)).catch(() => undefined)
    if (present?.toString() === text) return
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const draft = path.join(folder, `.${name}.${randomBytes(6).toString('hex')}.tmp`)
    await writeFile(draft, text, { flag: 'wx', mode: 0o600 })
    await rename(draft, copyOf(name))
  }

  async function writeAll(): Promise<void> {
    for (const name of waiting) {
      waiting.delete(name)
      try {
        await write(name)
      } catch (thrown) {
        logger.warn(
          { rule: name, file: copyOf(name), problem: messageOf(thrown) },
          `the last good version of rule ${name} cannot be kept`,
        )
      }
    }
  }

  function begin(): void {
    writing ??= writeAll().finally(() => {
      writing = undefined
      // A rule may have changed after the last look at the set.
      if (waiting.size > 0) begin()
    })
  }

  async function idle(): Promise<void> {
    if (!writing) return
    await writing
    return idle()
  }

  return {
    async read(name) {
      const bytes = await readIfPresent(copyOf(name)).catch(() => undefined)
      return bytes && parseCopy(bytes, rulesDir)
    },

    follow(name) {
      waiting.add(name)
      begin()
    },

    async keepOnly(names) {
      const files = await readdir(folder).catch(() => [])
      for (const file of files) {
        const isKept = file.endsWith(ending) && names.has(file.slice(0, -ending.length))
        // What cannot be removed is only a copy too many.
        if (!isKept) await rm(path.join(folder, file), { force: true }).catch(() => undefined)
      }
    },

    idle,
  }
}

function copyText({ rule, payloadText, metadataText }: RuleEntry, rulesDir: string): string {
  return JSON.stringify({
    rulesDir,
    payload: payloadText,
    metadata: metadataText,
    createdAt: rule.createdAt,
  })
}

function parseCopy(bytes: Buffer, rulesDir: string): RuleFile | undefined {
  try {
    const copy: unknown = JSON.parse(bytes.toString())
    if (!copyValidator.Check(copy) || copy.rulesDir !== rulesDir) return undefined
    return {
      payload: Buffer.from(copy.payload),
      metadata: copy.metadata === undefined ? undefined : Buffer.from(copy.metadata),
      madeAt: copy.createdAt,
    }
  } catch {
    return undefined
  }
}
