import path from 'node:path'
import { messageOf } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { combinePolicies, compilePolicy, denialsOf, denyingPolicy } from './policy.ts'
import type { Policy } from './policy.ts'
import { metaSuffix, policyOf } from './policy-folder-reader.ts'
import type { FolderContent, FolderFile } from './policy-folder-reader.ts'
import { createPolicyFiles } from './policy-records.ts'
import type { PolicyRecords } from './policy-records.ts'
import { parsePolicyTargets } from './policy-targets.ts'
import type { PolicyTarget } from './policy-targets.ts'
import { openReloaded } from '../../storage/reloaded-file.ts'
import type { ReloadedFileDependencies } from '../../storage/reloaded-file.ts'
import { invalidFile } from '../../storage/secret-file.ts'
import { withoutSchemaLink } from '../../storage/schema-link.ts'

/**
 * The policies of MQTT clients, in a folder:
 *
 *   <name>.json        an AWS IoT policy document, and nothing else
 *   <name>.meta.json   {"targets": [...]}: the targets that it is attached to; without it, to none
 *
 * Invariants:
 * - Without a folder no policy is enforced. With a folder, even an empty one, everything that no
 *   policy allows is denied, and stays denied if the folder is removed.
 * - All files are checked once a second, and changes take effect at once. A file whose text is not
 *   valid keeps its last good version in force, and is logged once.
 * - A file that cannot be read denies, and is tried again at each check. An unreadable policy
 *   denies everything to its targets. If the targets are unreadable they could be any client, so
 *   what their policy denies is denied to all, and what it allows is allowed to none. An unreadable
 *   folder denies everything to all.
 * - At the start, an invalid or unreadable file is an error, because it may hold denials that other
 *   policies rely on.
 */
export interface PolicyFolder {
  readonly policies: PoliciesNow
  /** Whether something is denied because it could not be read. */
  isUnreadable(): boolean
  /** Looks at the files at once. Never rejects. */
  reload(): Promise<void>
  close(): void
}

/**
 * Whether the policies of the folder are for registered certificates alone. It is so while no
 * client but those has a policy, if an operation of the API made the folder: nobody else has asked
 * for it.
 */
export interface FolderScope {
  isForRegistered(): boolean
  /** A policy is attached to another client: from now on all clients need one. */
  widen(): void
}

/** The policies that hold now: a member instead of a method, because every message reads it. */
export interface PoliciesNow {
  /** The same object until a file changes. Undefined: no policy is enforced. */
  readonly current: PolicySet | undefined
}

export interface PolicySet {
  readonly count: number
  /** Whether a decision may depend on the id of the account. */
  readonly namesAccount: boolean
  /** Whether something is denied because it could not be read. */
  readonly isUnreadable: boolean
  /**
   * The policies of this target combined with those of the target `all`.
   *
   * @returns undefined when none is enforced for the target
   */
  policyOf(target: PolicyTarget, isRegistered?: boolean): Policy | undefined
}

/** @throws SluiceError IdentityFileInvalid: a file, or the folder, is not usable */
export async function openPolicyFolder(
  dependencies: ReloadedFileDependencies & {
    readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  },
  options: {
    readonly directory: string
    /** What is read instead of the folder. */
    readonly records?: Pick<PolicyRecords, 'place' | 'content'> | undefined
    readonly scope?: FolderScope | undefined
  },
): Promise<PolicyFolder> {
  const { scope, records = createPolicyFiles(options.directory, dependencies.reads) } = options
  const { place: directory } = records
  const parser = createFolderParser(directory, dependencies.logger, scope)
  const policies: { current: PolicySet | undefined } = { current: undefined }
  const opened = await openReloaded<FolderContent, PolicySet | undefined>(dependencies, {
    file: directory,
    kind: 'policies',
    title: 'the policies folder',
    read: records.content,
    parse: parser.parse,
    isUnreadable: (set) => set?.isUnreadable ?? false,
    whenAbsent: undefined,
    onChange(set) {
      policies.current = set
    },
  })
  policies.current = opened.current()
  parser.started()
  return {
    policies,
    isUnreadable: () => opened.isUnreadable(),
    reload: () => opened.reload(),
    close: () => opened.close(),
  }
}

interface Problem {
  readonly name: string
  readonly problem: string
  readonly isUnreadable: boolean
}

/**
 * Builds the set of policies from the state of the folder, with the last good version of each file.
 */
function createFolderParser(
  directory: string,
  logger: Pick<Logger, 'warn' | 'error'>,
  scope: FolderScope | undefined,
) {
  const documents = createLastGood((text) =>
    compilePolicy(withoutSchemaLink(JSON.parse(text)), 'policy'),
  )
  const targets = createLastGood(parsePolicyTargets)
  const unattached = new Set<string>()
  let isStarting = true

  /** Logs the warning once, until the policy is attached. */
  function reportUnattached(name: string, isUnattached: boolean): void {
    if (!isUnattached) unattached.delete(name)
    if (!isUnattached || unattached.has(name)) return
    unattached.add(name)
    logger.warn(
      { policy: name, file: path.join(directory, `${name}${metaSuffix}`) },
      'a policy is attached to no client: the file beside it lists its targets, e.g. ' +
        '{"targets": ["all"]}',
    )
  }

  function report({ name, problem, isUnreadable }: Problem): void {
    const file = path.join(directory, name)
    if (isStarting) throw invalidFile(file, problem)
    const text = isUnreadable
      ? 'a file of the policies folder cannot be read: everything that it may deny is denied until then'
      : 'a file of the policies folder is not valid; its last good version stays in force'
    logger.error({ file, problem }, text)
  }

  function attachmentOf(file: string, { value, isUnreadable }: Known<Policy>): Attachment[] {
    const name = policyOf(file) ?? file
    const policy = isUnreadable ? denyingPolicy : value
    if (!policy) return []
    const attached = targets.get(`${name}${metaSuffix}`)
    if (attached?.isUnreadable) return [{ policy: denialsOf(policy), attachedTo: ['all'] }]
    const attachedTo = attached?.value ?? []
    reportUnattached(name, attachedTo.length === 0)
    return [{ policy, attachedTo }]
  }

  function parse({ files, problem }: FolderContent): PolicySet {
    if (problem !== undefined) {
      if (isStarting) throw invalidFile(directory, problem)
      const text = 'the policies folder cannot be read: everything is denied until it can be'
      logger.error({ file: directory, problem }, text)
      return createPolicySet([{ policy: denyingPolicy, attachedTo: ['all'] }], true)
    }
    const problems = [
      ...documents.take(files.filter((file) => !isTargets(file))),
      ...targets.take(files.filter(isTargets)),
    ]
    problems.forEach(report)
    const attached = [...documents.entries()].flatMap(([file, known]) => attachmentOf(file, known))
    const isUnreadable = files.some(({ content }) => content.kind === 'unreadable')
    const isWide = [...targets.entries()].some(([, { value = [] }]) => value.some(isNoCertificate))
    if (isWide && scope?.isForRegistered()) scope.widen()
    return createPolicySet(attached, isUnreadable, scope?.isForRegistered())
  }

  return {
    parse,
    /** From now on an invalid file is logged and is no error. */
    started() {
      isStarting = false
    },
  }
}

const isNoCertificate = (target: PolicyTarget) => !target.startsWith('cert:')
const isTargets = ({ name }: FolderFile) => name.endsWith(metaSuffix)

interface Known<Value> {
  readonly version: string
  readonly isUnreadable: boolean
  /** The value of the last version that could be parsed; undefined if there was none. */
  readonly value: Value | undefined
}

/** Values of files: a version that cannot be parsed leaves the value of the one before. */
function createLastGood<Value>(parse: (text: string) => Value) {
  let known = new Map<string, Known<Value>>()

  /** @throws what is wrong with the file */
  function valueOf({ content }: FolderFile): Value {
    if (content.kind !== 'text') throw new Error(content.problem)
    return parse(content.text)
  }

  return {
    /** @returns what is wrong with files that were not known in this version */
    take(files: readonly FolderFile[]): readonly Problem[] {
      const problems: Problem[] = []
      const next: typeof known = new Map()
      for (const file of files) {
        const { name, version, content } = file
        const before = known.get(name)
        const isUnreadable = content.kind === 'unreadable'
        let value = before?.value
        if (before?.version !== version) {
          try {
            value = valueOf(file)
          } catch (thrown) {
            problems.push({ name, problem: messageOf(thrown), isUnreadable })
          }
        }
        next.set(name, { version, value, isUnreadable })
      }
      known = next
      return problems
    },
    get: (name: string) => known.get(name),
    entries: () => known.entries(),
  }
}

interface Attachment {
  readonly policy: Policy
  readonly attachedTo: readonly PolicyTarget[]
}

function createPolicySet(
  attached: readonly Attachment[],
  isUnreadable: boolean,
  isForRegistered = false,
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
  // What cannot be read may be for anyone, and denies to all.
  const isOnlyRegistered = isForRegistered && ofAll.length === 0
  return {
    count: attached.length,
    namesAccount: [...combined.values()].some((policy) => policy.namesAccount),
    isUnreadable,
    policyOf: (target, isRegistered = false) =>
      combined.get(target) ?? (isOnlyRegistered && !isRegistered ? undefined : everyone),
  }
}
