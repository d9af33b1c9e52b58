import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError, messageOf } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { combinePolicies, compilePolicy } from './policy.ts'
import type { Policy } from './policy.ts'
import { parsePolicyTargets } from './policy-targets.ts'
import type { PolicyTarget } from './policy-targets.ts'
import { openReloaded } from '../../storage/reloaded-file.ts'
import type { ReloadedFileDependencies } from '../../storage/reloaded-file.ts'
import { invalidFile, readPublicFile } from '../../storage/secret-file.ts'

/**
 * The policies of MQTT clients, in a folder:
 *
 *   <name>.json        an AWS IoT policy document, and nothing else
 *   <name>.meta.json   {"targets": [...]}: whom it is attached to; without it, to nobody
 *
 * Invariants:
 * - Without a folder nothing is enforced. With one, also with an empty one, what no policy allows is
 *   denied; so it stays if the folder is taken away.
 * - All files are looked at once a second, and what they say takes effect at once. A file that cannot
 *   be used keeps its last good version, and is told about once; at the start it is an error, because
 *   it may hold the denials that others rely on.
 */
export interface PolicyFolder {
  /** The same object until a file changes. Undefined: nothing is enforced. */
  current(): PolicySet | undefined
  close(): void
}

export interface PolicySet {
  readonly count: number
  /** Whether what a policy says may depend on which account this is. */
  readonly namesAccount: boolean
  /** What holds for this target: its own policies, and those of all. */
  policyOf(target: PolicyTarget): Policy
}

export const policyFolderLimits = Object.freeze({
  policiesMax: 500,
  /** Of one file, blanks too. */
  fileBytesMax: 1_048_576,
})

export const metaSuffix = '.meta.json'
/** AWS IoT's names of policies; a point in front is of files that are being written. */
export const policyNameForm = /^(?!\.)(?!.*\.meta$)[\w+=,.@-]{1,128}$/

/** @throws SluiceError IdentityFileInvalid: a file, or the folder, is not usable */
export async function openPolicyFolder(
  deps: ReloadedFileDependencies & { readonly logger: Pick<Logger, 'info' | 'warn' | 'error'> },
  { directory }: { readonly directory: string },
): Promise<PolicyFolder> {
  const parser = createFolderParser(directory, deps.logger)
  const opened = await openReloaded<FolderContent, PolicySet | undefined>(deps, {
    file: directory,
    title: 'the policies folder',
    read: createFolderReader(directory),
    parse: parser.parse,
    whenAbsent: undefined,
  })
  parser.started()
  return { current: () => opened.current(), close: () => opened.close() }
}

/** One state of the folder; `version` changes whenever one of the files does. */
interface FolderContent {
  readonly version: string
  readonly files: readonly FolderFile[]
}

interface FolderFile {
  /** Without its folder. */
  readonly name: string
  readonly version: string
  /** Its text, or why it cannot be read. */
  readonly content: { readonly text: string } | { readonly problem: string }
}

/** Reads anew only what has changed. */
function createFolderReader(directory: string): () => Promise<FolderContent | undefined> {
  let known = new Map<string, FolderFile>()

  async function readFile(name: string): Promise<FolderFile | undefined> {
    const file = path.join(directory, name)
    const stats = await stat(file, { bigint: true }).catch(() => undefined)
    if (!stats) return undefined
    const version = [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':')
    const before = known.get(name)
    if (before?.version === version) return before
    return { name, version, content: await contentOf(file, stats.size) }
  }

  return async () => {
    const names = await listPolicyFiles(directory)
    if (!names) return undefined
    const files = (await Promise.all(names.map(readFile))).filter((file) => file !== undefined)
    known = new Map(files.map((file) => [file.name, file]))
    return { version: files.map(({ name, version }) => `${name}:${version}`).join('\n'), files }
  }
}

/**
 * Names of files in their order, policies and targets; undefined while there is no folder.
 *
 * @throws SluiceError IdentityFileInvalid: too many, or no folder
 */
export async function listPolicyFiles(directory: string): Promise<readonly string[] | undefined> {
  const { policiesMax } = policyFolderLimits
  try {
    const names = (await readdir(directory)).filter((name) => nameOf(name) !== undefined)
    if (names.filter((name) => !name.endsWith(metaSuffix)).length > policiesMax) {
      throw invalidFile(directory, `holds more than ${policiesMax} policies`)
    }
    if (names.length > 2 * policiesMax) {
      throw invalidFile(directory, `holds more than ${policiesMax} files *${metaSuffix}`)
    }
    return names.toSorted()
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined
    throw thrown instanceof SluiceError ? thrown : invalidFile(directory, messageOf(thrown), thrown)
  }
}

async function contentOf(file: string, size: bigint): Promise<FolderFile['content']> {
  const { fileBytesMax } = policyFolderLimits
  if (size > fileBytesMax) {
    return { problem: `${file}: has ${size} bytes; at most ${fileBytesMax} are read` }
  }
  try {
    return { text: (await readPublicFile(file))?.text ?? '' }
  } catch (thrown) {
    return { problem: messageOf(thrown) }
  }
}

/** The name of the policy that a file belongs to; undefined for any other file. */
function nameOf(file: string): string | undefined {
  if (!file.endsWith('.json')) return undefined
  const name = file.slice(0, file.endsWith(metaSuffix) ? -metaSuffix.length : -'.json'.length)
  return policyNameForm.test(name) ? name : undefined
}

/** Makes the set that a state of the folder stands for, with the last good version of each file. */
function createFolderParser(directory: string, logger: Pick<Logger, 'warn' | 'error'>) {
  const documents = createLastGood((text) => compilePolicy(JSON.parse(text), 'policy'))
  const targets = createLastGood(parsePolicyTargets)
  const unattached = new Set<string>()
  let isStarting = true

  /** Said once, until it is otherwise. */
  function reportUnattached(name: string, isUnattached: boolean): void {
    if (!isUnattached) unattached.delete(name)
    if (!isUnattached || unattached.has(name)) return
    unattached.add(name)
    logger.warn(
      { policy: name, file: path.join(directory, `${name}${metaSuffix}`) },
      'a policy is attached to nobody: the file beside it lists its targets, e.g. ' +
        '{"targets": ["all"]}',
    )
  }

  function parse({ files }: FolderContent): PolicySet {
    const problems = [documents, targets].flatMap((kind) =>
      kind.take(files.filter(({ name }) => (kind === targets) === name.endsWith(metaSuffix))),
    )
    if (isStarting && problems[0] !== undefined) {
      throw invalidFile(path.join(directory, problems[0].name), problems[0].problem)
    }
    for (const { name, problem } of problems) {
      logger.error(
        { file: path.join(directory, name), problem },
        'a file of the policies folder cannot be used; what it said stays',
      )
    }
    const attached = [...documents.values()].map(([file, policy]) => {
      const name = nameOf(file) ?? file
      const attachedTo = targets.get(`${name}${metaSuffix}`) ?? []
      reportUnattached(name, attachedTo.length === 0)
      return { policy, attachedTo }
    })
    return createPolicySet(attached)
  }

  return {
    parse,
    /** From now on a file that cannot be used is no error. */
    started() {
      isStarting = false
    },
  }
}

/** Values of files: a version that cannot be parsed leaves the value of the one before. */
function createLastGood<Value>(parse: (text: string) => Value) {
  let known = new Map<string, { readonly version: string; readonly value: Value | undefined }>()
  return {
    /** @returns what is wrong with files that were not known in this version */
    take(files: readonly FolderFile[]): { readonly name: string; readonly problem: string }[] {
      const problems: { readonly name: string; readonly problem: string }[] = []
      const next: typeof known = new Map()
      for (const { name, version, content } of files) {
        const before = known.get(name)
        let value = before?.value
        if (before?.version !== version) {
          try {
            if ('problem' in content) throw new Error(content.problem)
            value = parse(content.text)
          } catch (thrown) {
            problems.push({ name, problem: messageOf(thrown) })
          }
        }
        next.set(name, { version, value })
      }
      known = next
      return problems
    },
    get: (name: string) => known.get(name)?.value,
    *values(): Iterable<readonly [name: string, value: Value]> {
      for (const [name, { value }] of known) if (value !== undefined) yield [name, value]
    },
  }
}

function createPolicySet(
  attached: readonly { readonly policy: Policy; readonly attachedTo: readonly PolicyTarget[] }[],
): PolicySet {
  const own = new Map<PolicyTarget, Policy[]>()
  for (const { policy, attachedTo } of attached) {
    for (const target of attachedTo) {
      const policies = own.get(target) ?? []
      policies.push(policy)
      own.set(target, policies)
    }
  }
  const ofAll = own.get('all') ?? []
  const combined = new Map<PolicyTarget, Policy>()
  for (const [target, policies] of own) {
    const isAll = target === 'all'
    combined.set(target, combinePolicies(isAll ? policies : [...ofAll, ...policies]))
  }
  const everyone = combined.get('all') ?? combinePolicies(ofAll)
  return Object.freeze({
    count: attached.length,
    namesAccount: [...combined.values()].some((policy) => policy.namesAccount),
    policyOf: (target: PolicyTarget) => combined.get(target) ?? everyone,
  })
}
