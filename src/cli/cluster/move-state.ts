import { isDeepStrictEqual } from 'node:util'
import { SluiceError, lineOf } from '../../base/errors.ts'
import type { ClusterState } from '../../cluster/state/cluster-state.ts'
import { folderParts, isEmptyFolder } from './folder-parts.ts'
import type { FolderPart, Values } from './folder-parts.ts'

/** Moves what the nodes of a cluster share from a folder into the cluster, and back. */
export interface MoveOptions {
  readonly folder: string
  readonly force: boolean
}

interface MoveDependencies {
  readonly state: Pick<ClusterState, 'view' | 'place'>
  /** Takes one line. */
  readonly print: (line: string) => void
}

/** Names that one line tells. */
const namesToldMax = 20

interface Plan {
  readonly part: FolderPart
  readonly values: Values
  readonly added: readonly string[]
  /** With the revisions that are written over. */
  readonly differing: ReadonlyMap<string, number>
  readonly sameCount: number
  /** Entries of the cluster that the folder does not have, and that stay. */
  readonly othersCount: number
}

/**
 * Reads the whole folder first, and writes nothing when a file cannot be used, or when an entry
 * that is there differs and `force` is not given.
 *
 * @throws SluiceError ClusterImportRefused: says which; ClusterImportIncomplete: says what was
 *   written before the failure (rejects)
 */
export async function importFolder(
  { state, print }: MoveDependencies,
  { folder, force, dryRun }: MoveOptions & { readonly dryRun: boolean },
): Promise<void> {
  const plans = await planImport(state, folder)
  if (plans.every(({ values }) => values.size === 0)) {
    throw refused(`${folder} holds nothing that a cluster shares: see docs/CLUSTER.md`)
  }
  const conflicts = plans.flatMap(({ part, differing }) =>
    [...differing.keys()].map((name) => `${part.title}: ${name}`),
  )
  for (const plan of plans) if (plan.values.size > 0) print(lineOfPlan(plan, dryRun, force))
  if (conflicts.length > 0 && !force && !dryRun) {
    throw refused(
      `${counted(conflicts.length, 'entry differs', 'entries differ')} in ${state.place}, and nothing was ` +
        `written (${listOf(conflicts)}): --force writes over what differs`,
    )
  }
  if (dryRun) {
    print('Nothing was written: this was a dry run.')
    return
  }
  await writeAll({ state, print }, plans)
}

async function planImport(
  state: MoveDependencies['state'],
  folder: string,
): Promise<readonly Plan[]> {
  const faults: string[] = []
  const plans: Plan[] = []
  for (const part of folderParts) {
    const values = await part.read(folder, (fault) => faults.push(fault))
    plans.push(planOf(part, values, state))
  }
  if (faults.length === 0) return plans
  throw refused(
    `${counted(faults.length, 'file', 'files')} cannot be used, and nothing was written:\n  ` +
      faults.join('\n  '),
  )
}

function planOf(part: FolderPart, values: Values, state: MoveDependencies['state']): Plan {
  const view = state.view(part.kind)
  const differing = new Map<string, number>()
  const added: string[] = []
  for (const [name, value] of values) {
    const entry = view.get(name)
    if (!entry) added.push(name)
    else if (!isSameValue(entry.value.toString(), value)) differing.set(name, entry.revision)
  }
  return {
    part,
    values,
    added,
    differing,
    sameCount: values.size - added.length - differing.size,
    othersCount: view.names().filter((name) => !values.has(name)).length,
  }
}

/** Documents with the same members are the same, in whatever order. */
function isSameValue(one: string | undefined, other: string | undefined): boolean {
  if (one === other) return true
  try {
    return isDeepStrictEqual(JSON.parse(one ?? ''), JSON.parse(other ?? ''))
  } catch {
    return false
  }
}

function lineOfPlan(
  { part, added, differing, sameCount, othersCount }: Plan,
  dryRun: boolean,
  force: boolean,
): string {
  const verb = dryRun ? 'would be' : 'to be'
  const over = force ? `${verb} written over` : 'differ'
  const counts = [
    `${added.length} ${verb} added`,
    ...(differing.size > 0 ? [`${differing.size} ${over} (${listOf([...differing.keys()])})`] : []),
    ...(sameCount > 0 ? [`${sameCount} the same`] : []),
    ...(othersCount > 0 ? [`${othersCount} others stay`] : []),
  ]
  const remark = part.remark !== undefined && added.length > 0 ? `; ${part.remark}` : ''
  return `${part.title}: ${counts.join(', ')}${remark}`
}

async function writeAll({ state, print }: MoveDependencies, plans: readonly Plan[]): Promise<void> {
  const written: string[] = []
  const total = plans.reduce((sum, { added, differing }) => sum + added.length + differing.size, 0)
  for (const { part, values, added, differing } of plans) {
    const view = state.view(part.kind)
    for (const name of [...added, ...differing.keys()]) {
      try {
        const isDone = await view.put(name, values.get(name) ?? '', differing.get(name))
        if (!isDone) throw new Error('another node changed it meanwhile')
      } catch (thrown) {
        throw incomplete(`${part.title}: ${name}`, thrown, written, total)
      }
      written.push(`${part.title}: ${name}`)
      if (written.length % 1_000 === 0) print(`${written.length} of ${total} are written`)
    }
  }
  print(`Written to ${state.place}: ${counted(written.length, 'entry', 'entries')}.`)
}

function incomplete(
  failed: string,
  thrown: unknown,
  written: readonly string[],
  total: number,
): SluiceError {
  const done = written.length === 0 ? 'none' : listOf(written)
  return new SluiceError(
    'ClusterImportIncomplete',
    `${failed} was not written: ${lineOf(thrown)}. ${written.length} of ${total} are written ` +
      `(${done}). Run the command again: it passes over what is the same`,
    { cause: thrown },
  )
}

/**
 * Writes what the cluster holds as files, into a folder that is new or empty, or over its files
 * with `force`. Files that the cluster knows nothing of stay.
 *
 * @throws SluiceError ClusterImportRefused: the folder is not empty (rejects); and what the system
 *   throws
 */
export async function exportFolder(
  { state, print }: MoveDependencies,
  { folder, force }: MoveOptions,
): Promise<void> {
  if (!force && !(await isEmptyFolder(folder))) {
    throw refused(`${folder} is not empty, and nothing was written: --force writes over its files`)
  }
  for (const part of folderParts) {
    const view = state.view(part.kind)
    const values = new Map(
      view.names().map((name) => [name, view.get(name)?.value.toString() ?? '']),
    )
    await part.write(folder, values)
    if (values.size > 0) print(`${part.title}: ${values.size}`)
  }
  print(`What ${state.place} holds was written to ${folder}.`)
}

const counted = (count: number, one: string, many: string) => `${count} ${count === 1 ? one : many}`

const refused = (message: string) => new SluiceError('ClusterImportRefused', message)

function listOf(names: readonly string[]): string {
  const more = names.length - namesToldMax
  return [...names.slice(0, namesToldMax), ...(more > 0 ? [`and ${more} more`] : [])].join(', ')
}
