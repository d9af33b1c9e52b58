import path from 'node:path'
import { SluiceError, lineOf } from '../base/errors.ts'
import type { KeyedQueue } from '../base/keyed-queue.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import type { LastGoodRules } from './last-good-rules.ts'
import { entryOfFile } from './rule-entry.ts'
import { changeText } from './rule-loader.ts'
import type { RuleLoader, RuleLoaderDependencies } from './rule-loader.ts'

/** Brings the rules of a source into force: all of them at the start, then those that change. */
interface RuleReloader {
  /** @throws SluiceError RuleFileInvalid (rejects): names all files that are not a rule */
  loadAll(): Promise<void>
  /** Never throws: a file that cannot be used is logged and counted. */
  changedOnDisk(name: string): void
  /** The same for every rule that exists or existed. */
  rescan(): void
  /** Tries the rules again that were refused because there were too many. */
  retryRefused(): void
}

interface RuleReloaderDependencies extends RuleLoaderDependencies {
  readonly loader: RuleLoader
  readonly lastGood: LastGoodRules | undefined
  readonly queue: KeyedQueue
  readonly logger: Logger
  readonly metrics: Pick<Metrics, 'ruleReloadFailures'>
}

interface RuleReloaderOptions {
  /** Where the rules are, for log lines and errors: the path of the folder. */
  readonly place: string
  readonly rulesMax: number
  /** What becomes of a rule at the start that cannot be used and never could. */
  readonly onInvalid: 'refuse' | 'leaveOut'
}

const filesReadAtOnce = 32
/** Faults that one error names. */
const faultsToldMax = 100

export function createRuleReloader(
  dependencies: RuleReloaderDependencies,
  options: RuleReloaderOptions,
): RuleReloader {
  const { files, catalogue, queue, loader, logger, metrics } = dependencies
  const { place: directory } = options
  const waiting = new Set<string>()

  const reload = async (name: string): Promise<void> => {
    waiting.delete(name)
    try {
      const changed = await loader.load(name)
      if (!changed) return
      const rule = catalogue.entry(name)?.rule
      logger.info({ rule: name, disabled: rule?.disabled }, changeText(name, rule, files))
    } catch (thrown) {
      metrics.ruleReloadFailures.inc()
      const consequence = catalogue.entry(name) ? 'its last good version stays in force' : 'ignored'
      const err = thrown instanceof SluiceError ? undefined : thrown
      logger.error(
        { rule: name, directory, err },
        `rule ${name} changed ${files.words.changed} and cannot be used (${consequence}): ${lineOf(thrown)}`,
      )
    }
  }

  const changedOnDisk = (name: string): void => {
    // A waiting reload sees every change made before it runs.
    if (waiting.has(name)) return
    waiting.add(name)
    void queue.run(name, () => reload(name))
  }

  const look = async (isWanted: (name: string) => boolean): Promise<void> => {
    try {
      const known = catalogue.all().map((rule) => rule.name)
      const names = new Set([...known, ...(await files.names())])
      for (const name of names) if (isWanted(name)) changedOnDisk(name)
    } catch (thrown) {
      logger.error({ err: thrown, directory }, 'the rules folder cannot be read')
    }
  }

  return {
    loadAll: () => loadAll(dependencies, options),
    changedOnDisk,
    rescan: () => void look(() => true),
    retryRefused: () => void look((name) => catalogue.entry(name) === undefined),
  }
}

async function loadAll(
  dependencies: RuleReloaderDependencies,
  { place: directory, rulesMax, onInvalid }: RuleReloaderOptions,
): Promise<void> {
  const { files, queue, loader, lastGood, logger, metrics } = dependencies
  const names = await files.names()
  if (names.length > rulesMax) {
    throw new SluiceError(
      'RuleFileInvalid',
      `${directory} holds ${names.length} rules; SLUICE_RULES_MAX allows ${rulesMax}`,
    )
  }
  await lastGood?.keepOnly(new Set(names))
  const faults: Fault[] = []
  for (let start = 0; start < names.length; start += filesReadAtOnce) {
    const chunk = names.slice(start, start + filesReadAtOnce)
    const loads = chunk.map((name) => queue.run(name, () => loader.load(name)))
    for (const [index, result] of (await Promise.allSettled(loads)).entries()) {
      if (result.status === 'fulfilled') continue
      const name = chunk[index] ?? ''
      const text = faultText(directory, name, result.reason)
      const isReplaced = await queue.run(name, () => useLastGood(name, dependencies))
      faults.push({ name, text, isReplaced, thrown: result.reason })
    }
  }
  if (onInvalid === 'refuse' && faults.some(({ isReplaced }) => !isReplaced)) throw invalid(faults)
  for (const { name, text, isReplaced } of faults) {
    metrics.ruleReloadFailures.inc()
    const consequence = isReplaced ? 'runs in its last good version' : 'is left out'
    logger.error({ rule: name, directory }, `rule ${name} ${consequence}: ${text}`)
  }
}

interface Fault {
  readonly name: string
  readonly text: string
  /** Whether the rule runs in its last good version. */
  readonly isReplaced: boolean
  readonly thrown: unknown
}

/** @returns whether there is one that can be used */
async function useLastGood(
  name: string,
  { catalogue, compile, lastGood }: RuleReloaderDependencies,
): Promise<boolean> {
  const file = await lastGood?.read(name)
  // The file may have been mended since it was read.
  if (!file || catalogue.entry(name)) return catalogue.entry(name) !== undefined
  try {
    catalogue.put(entryOfFile(name, file, file.madeAt, compile))
    return true
  } catch {
    // An earlier release took it, and this one does not.
    return false
  }
}

function invalid(faults: readonly Fault[]): SluiceError {
  const cause = faults[0]?.thrown
  const [first, ...others] = faults.slice(0, faultsToldMax).map(({ text }) => text)
  if (others.length === 0) return new SluiceError('RuleFileInvalid', first ?? '', { cause })
  const more = faults.length - faultsToldMax
  const lines = [
    `${faults.length} rules cannot be used:`,
    first,
    ...others,
    ...(more > 0 ? [`and ${more} more`] : []),
  ]
  return new SluiceError('RuleFileInvalid', lines.join('\n  '), { cause })
}

function faultText(directory: string, name: string, thrown: unknown): string {
  // Our own errors already name the file, of the payload or of its metadata.
  const text = thrown instanceof SluiceError ? lineOf(thrown) : `${name}.json: ${lineOf(thrown)}`
  return path.join(directory, text)
}
