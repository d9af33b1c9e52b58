import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { SluiceError } from '../../base/errors.ts'
import type { StateView } from '../../cluster/state/cluster-state.ts'
import type { StateEntry } from '../../cluster/state/shared-state.ts'
import { metaSuffix } from './policy-folder-reader.ts'
import type { FolderFile } from './policy-folder-reader.ts'
import type { FolderScope } from './policy-folder.ts'
import type { PolicyRecord, PolicyRecords } from './policy-records.ts'
import { parsePolicyTargets } from './policy-targets.ts'
import { defaultOf, versionsSchema } from './policy-versions.ts'

/**
 * The policies of a cluster, in the state that its nodes share: one entry of the kind `policy` for
 * each, with its versions, its tags and its targets.
 *
 * Invariant: a change begins with what every node wrote before it, and is made again over what
 * another node wrote meanwhile, so none is lost.
 */
const storedSchema = Type.Object({
  versions: versionsSchema,
  targets: Type.Array(Type.String()),
})
const storedValidator = Compile(storedSchema)

/** The kinds of the entries: policies, and what holds for all of them. */
export const policyKinds = Object.freeze({ policy: 'policy', scope: 'policies' })

interface SharedPolicies {
  readonly policies: StateView
  readonly scope: StateView
  /** For log lines and errors: `cluster sluice`. */
  readonly place: string
}

/** Attempts of one change, when other nodes change the same policy. */
const attemptsMax = 10
/** The name of the entry that is there once policies are enforced. */
export const scopeName = 'scope'
/** What it says while policies are for registered certificates alone. */
export const narrowScope = JSON.stringify({ isForRegistered: true })

export function createSharedPolicies({ policies, scope, place }: SharedPolicies): PolicyRecords {
  const recordIn = (name: string, entry: StateEntry | undefined) =>
    entry && parseSharedPolicy(name, entry.value, place)
  const isMade = () => scope.get(scopeName) !== undefined || policies.names().length > 0

  return {
    place,
    async isMade() {
      await policies.caughtUp()
      return isMade()
    },
    async names() {
      await policies.caughtUp()
      return policies.names()
    },
    async read(name) {
      await policies.caughtUp()
      return recordIn(name, policies.get(name))
    },
    targetsOf: async (name) => recordIn(name, policies.get(name))?.targets ?? [],
    async change(name, edit) {
      for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
        await policies.caughtUp()
        const entry = policies.get(name)
        const now = recordIn(name, entry)
        const next = edit(now)
        if (next === now) return
        const isDone = next
          ? (await policies.put(name, sharedPolicyText(next), entry?.revision)) !== undefined
          : entry === undefined || (await policies.remove(name, entry.revision))
        if (isDone) return
      }
      throw new SluiceError(
        'ConflictingResourceUpdateException',
        `the policy ${name} was changed by other nodes meanwhile: look at it, then try again`,
      )
    },
    async content() {
      if (!isMade()) return undefined
      const files = policies.names().flatMap((name) => filesOf(name, policies.get(name), place))
      return { version: `${policies.version}:${scope.version}`, files }
    },
  }
}

/** The files that a folder would have of a policy. */
function filesOf(name: string, entry: StateEntry | undefined, place: string): FolderFile[] {
  if (!entry) return []
  const version = String(entry.revision)
  try {
    const { versions, targets } = parseSharedPolicy(name, entry.value, place)
    const { document } = defaultOf(versions)
    const meta = JSON.stringify({ targets })
    return [
      { name: `${name}.json`, version, content: { kind: 'text', text: document } },
      { name: name + metaSuffix, version, content: { kind: 'text', text: meta } },
    ]
  } catch (thrown) {
    // What it denied is not known to be over.
    const problem = thrown instanceof Error ? thrown.message : String(thrown)
    return [{ name: `${name}.json`, version, content: { kind: 'unreadable', problem } }]
  }
}

/** The value of an entry. */
export const sharedPolicyText = ({ versions, targets }: PolicyRecord): string =>
  JSON.stringify({ versions, targets })

/** @throws SluiceError IdentityFileInvalid: it is none of ours */
export function parseSharedPolicy(name: string, value: Buffer, place: string): PolicyRecord {
  try {
    const stored: unknown = JSON.parse(value.toString())
    if (storedValidator.Check(stored)) return recordOf(stored)
  } catch {
    // It is told below.
  }
  throw new SluiceError(
    'IdentityFileInvalid',
    `what ${place} holds of the policy ${name} is no policy of this release`,
  )
}

function recordOf({ versions, targets }: Static<typeof storedSchema>): PolicyRecord {
  defaultOf(versions)
  return { versions, targets: parsePolicyTargets(JSON.stringify({ targets })) }
}

/** Whether policies are for registered certificates alone, in a cluster: policy-folder.ts. */
export function createSharedScope(
  view: StateView,
): FolderScope & { readonly narrow: () => Promise<void> } {
  const wide = JSON.stringify({ isForRegistered: false })
  let isWidened = false
  return {
    isForRegistered: () => !isWidened && view.get(scopeName)?.value.toString() === narrowScope,
    widen() {
      isWidened = true
      // Every node finds out by itself; the entry is for those that start later.
      void view.put(scopeName, wide, view.get(scopeName)?.revision).catch(() => undefined)
    },
    async narrow() {
      // Another node may have been first.
      await view.put(scopeName, narrowScope, undefined)
    },
  }
}
