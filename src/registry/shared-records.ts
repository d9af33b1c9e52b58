import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { messageOf } from '../base/errors.ts'
import { schemaProblem } from '../base/schema-problem.ts'
import type { ClusterState, StateView } from '../cluster/state/cluster-state.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { LostRace } from './records.ts'
import type { OpenRecords, RecordForm, RecordListener, Records } from './records.ts'

interface SharedRecordsDependencies {
  readonly logger: Pick<Logger, 'error'>
  readonly view: StateView
}

/** The kinds of the entries in the state of a cluster. */
export const registryKinds = Object.freeze({ things: 'thing', certificates: 'certificate' })

/** @returns a function that opens the things and certificates of a cluster */
export function createOpenSharedRecords({
  logger,
  state,
}: Pick<SharedRecordsDependencies, 'logger'> & {
  readonly state: Pick<ClusterState, 'view'>
}): OpenRecords {
  return async (kind, form) =>
    openSharedRecords({ logger, view: state.view(registryKinds[kind]) }, form)
}

/**
 * Records in the state that the nodes of a cluster share, one entry of JSON for each. An entry that
 * cannot be used is logged, and its last good version stays.
 */
function openSharedRecords<Schema extends TSchema>(
  { logger, view }: SharedRecordsDependencies,
  { schema, nameOf, what }: RecordForm<Schema>,
): Records<Static<Schema>> {
  const validator = Compile(schema)
  const known = new Map<string, Static<Schema>>()
  let changed: RecordListener<Static<Schema>> | undefined

  /** @throws what is wrong with the entry */
  function parse(name: string, value: Buffer): Static<Schema> {
    const stored: unknown = JSON.parse(value.toString())
    if (!validator.Check(stored)) throw schemaProblem(validator.Errors(stored))
    if (nameOf(stored) === name) return stored
    throw new Error(`it is that of ${JSON.stringify(nameOf(stored))}`)
  }
  function look(name: string): void {
    const entry = view.get(name)
    if (!entry) {
      if (known.delete(name)) changed?.(name, undefined)
      return
    }
    try {
      const record = parse(name, entry.value)
      known.set(name, record)
      changed?.(name, record)
    } catch (thrown) {
      const consequence = known.has(name) ? 'its last good version stays' : 'it is left out'
      const text = `${what} of the cluster cannot be used (${consequence}): ${entry.key}`
      logger.error({ problem: messageOf(thrown) }, text)
    }
  }
  view.onChange(look)
  view.names().forEach(look)

  /** The revision of what the caller has read. */
  function revisionOf(name: string, before: object | undefined): number | undefined {
    if (known.get(name) !== before) throw new LostRace(name)
    return view.get(name)?.revision
  }

  return {
    async write(record, before) {
      const name = nameOf(record)
      const revision = revisionOf(name, before)
      if (!(await view.put(name, JSON.stringify(record), revision))) throw new LostRace(name)
    },
    async remove(name, before) {
      const revision = revisionOf(name, before)
      if (revision === undefined) return
      if (!(await view.remove(name, revision))) throw new LostRace(name)
    },
    follow(listener) {
      changed = listener
      for (const [name, record] of known) listener(name, record)
    },
    caughtUp: view.caughtUp,
  }
}
