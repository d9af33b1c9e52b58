import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { defined } from '../base/defined.ts'
import { SluiceError } from '../base/errors.ts'
import type { StateView } from '../cluster/state/cluster-state.ts'
import type { RuleFiles } from './rule-files.ts'
import type { RuleSource } from './rule-source.ts'

/**
 * The rules of a cluster, in the state that its nodes share: one entry of the kind `rule` for each,
 *
 *   {"payload": "<text>", "metadata": "<text>"}
 *
 * with the texts that a rules folder has in `<name>.json` and `<name>.meta.json` (rule-files.ts).
 *
 * Invariants:
 * - Both texts are written in one step, over the revision that the writer has read: of two nodes
 *   that change a rule at once, one is told that it came too late.
 * - A change begins with what every node wrote before it, so a client may call one node after the
 *   other. A rule that another node changed is in force here as soon as the watch tells of it.
 * - An entry without a payload holds the delivery settings of a rule to come.
 */
const storedSchema = Type.Object({
  payload: Type.Optional(Type.String()),
  metadata: Type.Optional(Type.String()),
})
interface StoredRule {
  readonly payload?: string | undefined
  readonly metadata?: string | undefined
}

const storedValidator = Compile(storedSchema)

/** The kind of the entries. */
export const ruleKind = 'rule'

/** @param place for log lines and errors: `cluster sluice` */
export function createSharedRules(view: StateView, place: string): RuleSource {
  return {
    files: createSharedRuleFiles(view, place),
    place,
    prepare: () => Promise.resolve(),
    watch: ({ onRule }) => view.onChange(onRule),
  }
}

function createSharedRuleFiles(view: StateView, place: string): RuleFiles {
  const storedOf = (name: string): StoredRule => {
    const entry = view.get(name)
    return entry ? parseSharedRule(name, entry.value, place) : {}
  }
  const hasPayload = (name: string): boolean => {
    try {
      return storedOf(name).payload !== undefined
    } catch {
      // An entry that cannot be read is a rule that cannot be used.
      return true
    }
  }

  return {
    words: clusterWords,
    ...createTextWrites(view, storedOf),
    names: async () => view.names().filter(hasPayload),
    namesOfMetadataAlone: async () => view.names().filter((name) => !hasPayload(name)),
    async read(name) {
      const entry = view.get(name)
      const { payload, metadata } = storedOf(name)
      if (!entry || payload === undefined) return undefined
      const madeAt = Math.floor(entry.writtenMs / 1_000)
      return { payload: Buffer.from(payload), metadata: bytesOf(metadata), madeAt }
    },
    readMetadata: async (name) => bytesOf(storedOf(name).metadata),
    async withLock(_name, change) {
      // The revisions do what a lock would do. What others wrote before has to be here.
      await view.caughtUp()
      return change()
    },
  }
}

const clusterWords: RuleFiles['words'] = {
  changed: 'by another node',
  changedMeanwhile: (name) =>
    `rule ${name} was changed by another node meanwhile: look at the rule, then try again`,
  remedy: 'this node cannot use the rule, so a node that can has to change or delete it',
  isByHand: false,
}

/** Writes over what their callers have read. */
function createTextWrites(
  view: StateView,
  storedOf: (name: string) => StoredRule,
): Pick<RuleFiles, 'write' | 'writeMetadata' | 'removeMetadata' | 'remove'> {
  async function replace(
    name: string,
    isFound: (now: StoredRule) => boolean,
    change: StoredRule,
  ): Promise<boolean> {
    // Nothing is awaited between the look and the write, so the revision is that of what was seen.
    const revision = view.get(name)?.revision
    const now = storedOf(name)
    if (!isFound(now)) return false
    const next = { ...now, ...change }
    if (next.payload === now.payload && next.metadata === now.metadata) return true
    const isEmpty = next.payload === undefined && next.metadata === undefined
    if (isEmpty) return revision === undefined || view.remove(name, revision)
    return (await view.put(name, sharedRuleText(next), revision)) !== undefined
  }

  return {
    write: (name, { payload, metadata }, found) =>
      replace(
        name,
        (now) => isText(now.payload, found.payload) && isText(now.metadata, found.metadata),
        defined({ payload, metadata }),
      ),
    writeMetadata: (name, metadata, expected) =>
      replace(name, (now) => isText(now.metadata, expected), { metadata }),
    removeMetadata: (name, expected) =>
      replace(name, (now) => isText(now.metadata, expected), { metadata: undefined }),
    remove: (name, { payload, metadata }) =>
      replace(name, (now) => isText(now.payload, payload) && isText(now.metadata, metadata), {
        payload: undefined,
        metadata: undefined,
      }),
  }
}

const bytesOf = (text: string | undefined) => (text === undefined ? undefined : Buffer.from(text))

/** The value of an entry. */
export const sharedRuleText = (rule: StoredRule): string => JSON.stringify(rule)

/** @throws SluiceError InvalidRequestException: it is none of ours */
export function parseSharedRule(name: string, value: Buffer, place: string): StoredRule {
  try {
    const stored: unknown = JSON.parse(value.toString())
    if (storedValidator.Check(stored)) return stored
  } catch {
    // It is told below.
  }
  throw new SluiceError(
    'InvalidRequestException',
    `${name}: what ${place} holds of it is no rule of this release`,
  )
}

const isText = (text: string | undefined, bytes: Uint8Array | undefined): boolean =>
  text === undefined ? bytes === undefined : bytes !== undefined && isSame(text, bytes)

const isSame = (text: string, bytes: Uint8Array) => Buffer.from(bytes).equals(Buffer.from(text))
