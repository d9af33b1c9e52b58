import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import type { CompileRule } from './compile-rule.ts'
import type { KeyedQueue } from '../base/keyed-queue.ts'
import type { RuleCatalogue } from './rule-catalogue.ts'
import { entryOfFile, isMadeOf } from './rule-entry.ts'
import type { RuleFiles } from './rule-files.ts'

/** Brings the rules of the folder into force: all of them at the start, then those that change. */
interface RuleReloader {
  /** @throws SluiceError RuleFileInvalid (rejects): names the first file that is not a rule */
  loadAll(): Promise<void>
  /** Never throws: a file that cannot be used is logged and counted. */
  changedOnDisk(name: string): void
  /** The same for every rule that exists or existed. */
  rescan(): void
}

interface RuleReloaderDependencies {
  readonly files: RuleFiles
  readonly catalogue: RuleCatalogue
  readonly queue: KeyedQueue
  readonly compile: CompileRule
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'ruleReloadFailures'>
}

interface RuleReloaderOptions {
  readonly directory: string
  readonly rulesMax: number
}

const filesReadAtOnce = 32

export function createRuleReloader(
  dependencies: RuleReloaderDependencies,
  { directory, rulesMax }: RuleReloaderOptions,
): RuleReloader {
  const { files, catalogue, queue, logger, metrics } = dependencies
  const load = createLoader(dependencies, rulesMax)
  const waiting = new Set<string>()

  const reload = async (name: string): Promise<void> => {
    waiting.delete(name)
    try {
      const changed = await load(name)
      if (!changed) return
      const rule = catalogue.entry(name)?.rule
      logger.info({ rule: name, disabled: rule?.disabled }, `rule ${name} ${verb(rule)} on disk`)
    } catch (thrown) {
      metrics.ruleReloadFailures.inc()
      const consequence = catalogue.entry(name) ? 'its last good version stays in force' : 'ignored'
      const err = thrown instanceof SluiceError ? undefined : thrown
      logger.error(
        { rule: name, directory, err },
        `rule ${name} changed on disk and cannot be used (${consequence}): ${firstLine(thrown)}`,
      )
    }
  }

  const changedOnDisk = (name: string): void => {
    // A waiting reload sees every change made before it runs.
    if (waiting.has(name)) return
    waiting.add(name)
    void queue.run(name, () => reload(name))
  }

  const rescan = async (): Promise<void> => {
    try {
      const known = catalogue.all().map((rule) => rule.name)
      for (const name of new Set([...known, ...(await files.names())])) changedOnDisk(name)
    } catch (thrown) {
      logger.error({ err: thrown, directory }, 'the rules folder cannot be read')
    }
  }

  return {
    async loadAll() {
      const names = await files.names()
      if (names.length > rulesMax) {
        throw new SluiceError(
          'RuleFileInvalid',
          `${directory} holds ${names.length} rules; SLUICE_RULES_MAX allows ${rulesMax}`,
        )
      }
      for (let start = 0; start < names.length; start += filesReadAtOnce) {
        const chunk = names.slice(start, start + filesReadAtOnce)
        const loads = chunk.map((name) => queue.run(name, () => load(name)))
        for (const [index, result] of (await Promise.allSettled(loads)).entries()) {
          if (result.status === 'fulfilled') continue
          throw fileInvalid(directory, chunk[index] ?? '', result.reason)
        }
      }
    },
    changedOnDisk,
    rescan: () => void rescan(),
  }
}

/** @returns a function that brings one rule of the folder into force; true when the rule changed */
function createLoader(
  { files, catalogue, compile }: RuleReloaderDependencies,
  rulesMax: number,
): (name: string) => Promise<boolean> {
  return async (name) => {
    const file = await files.read(name)
    const present = catalogue.entry(name)
    if (!file) {
      catalogue.remove(name)
      return present !== undefined
    }
    if (present && isMadeOf(present, file)) return false
    if (!present && catalogue.size() >= rulesMax) {
      throw new SluiceError('InvalidRequestException', `${name}.json: ${limitText(rulesMax)}`)
    }
    // Editors replace a file by a new one, whose age is not that of the rule.
    const createdAt = present?.rule.createdAt ?? file.madeAt
    catalogue.put(entryOfFile(name, file, createdAt, compile))
    return true
  }
}

export function limitText(rulesMax: number): string {
  return `there are ${rulesMax} rules already, as many as SLUICE_RULES_MAX allows`
}

function verb(rule: unknown): string {
  return rule === undefined ? 'was removed' : 'was changed'
}

function fileInvalid(directory: string, name: string, thrown: unknown): SluiceError {
  // Our own errors already name the file, of the payload or of its metadata.
  const text =
    thrown instanceof SluiceError ? firstLine(thrown) : `${name}.json: ${firstLine(thrown)}`
  return new SluiceError('RuleFileInvalid', path.join(directory, text), { cause: thrown })
}

/** Messages of the SQL compiler show the statement on further lines; one line is enough here. */
function firstLine(thrown: unknown): string {
  return messageOf(thrown).split('\n', 1)[0] ?? ''
}
