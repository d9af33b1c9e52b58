/**
 * What a data folder says of itself, in `format.json`:
 *
 *     {"version": 4, "owner": "lab", "environments": ["outbox", "event-source/checkpoints"]}
 *
 * `environments` are the environments of LMDB that were made in the folder: where the file of one
 * of them is lost, it must not begin anew without a word. Format 1 did not list them, and its
 * records have no checksum. In format 2 each record has its message in itself, and up to format 3
 * no message has properties of MQTT 5. All of them are read, and become format 4.
 *
 * Invariant: a folder has one owner for as long as it stands. Records that a lab left behind are
 * never delivered by an engine, and those of an engine never reach the streams of a lab.
 */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'
import { writeDurably } from './durable-file.ts'
import { ifPresent, readIfPresent } from './file-reads.ts'

/** Raised when what stands in the folder changes so that an older release would misread it. */
const formatVersion = 4
/** Read, and raised to `formatVersion`. */
const firstVersion = 1

/** `lab` and `engine` hold an outbox; `lab-streams` are the streams of a lab (SLUICE_LAB_DATA). */
export type FolderOwner = 'lab' | 'engine' | 'lab-streams'

const formatName = 'format.json'
/** Where a running lab listens. A lab of 0.1.0 left it behind only where it was killed. */
export const labFileName = 'lab.json'

interface Owner {
  readonly whose: string
  readonly wayOut: string
  /** What it keeps there: without a format file, that is what is left of a damaged folder. */
  readonly contents: readonly string[]
  /** The environments of LMDB that format 1 kept there. */
  readonly environments: readonly string[]
}

const owners: Readonly<Record<FolderOwner, Owner>> = {
  lab: {
    whose: 'a lab (`sluice lab`), whose records never leave this machine',
    wayOut: 'set SLUICE_DATA_DIR to another folder; the default of `sluice lab` is ./lab-data',
    contents: ['outbox', 'event-source'],
    environments: ['outbox', 'event-source/checkpoints'],
  },
  engine: {
    whose: 'an engine (`sluice start`), whose records are for AWS',
    wayOut: 'set SLUICE_DATA_DIR to another folder; the default of `sluice start` is ./data',
    contents: ['outbox', 'event-source'],
    environments: ['outbox', 'event-source/checkpoints'],
  },
  'lab-streams': {
    whose: "a lab's streams (SLUICE_LAB_DATA)",
    wayOut: 'set SLUICE_LAB_DATA to a folder of its own',
    contents: ['lab'],
    environments: ['lab'],
  },
}

interface FolderFormat {
  readonly version: number
  /** Absent: written by a release that did not say. */
  readonly owner: FolderOwner | undefined
  /** Absent: written by a release that did not list them. */
  readonly environments?: readonly string[] | undefined
}

/** What a claimed folder says of itself. */
export interface ClaimedFormat {
  /** An older release wrote the folder, which did not say whose it is. */
  readonly wasUnmarked: boolean
  /** Folders of the environments that were made, relative to the data folder. */
  readonly environments: readonly string[]
}

/**
 * Refuses a folder of another owner, without making, locking or changing anything.
 *
 * @param directory absolute path
 * @throws SluiceError (rejects) DataFolderOfAnother, DataFolderUnusable,
 *   DataFolderVersionUnsupported; each message is one line that names the folder
 */
export async function checkFolderOwner(directory: string, owner: FolderOwner): Promise<void> {
  await readOwner(directory, owner)
}

/**
 * Refuses a folder that a newer release has written, or that nothing says the format of.
 *
 * @throws SluiceError (rejects) DataFolderUnusable, DataFolderVersionUnsupported
 */
export async function checkFolderVersion(directory: string): Promise<void> {
  const format = await readFormat(directory, [])
  if (!format) throw unusable(directory, `it has no ${formatName}: it is no data folder`)
}

/**
 * Reads the format of a folder, and writes it where it is not there, is of an older release or does
 * not name an owner.
 *
 * @throws SluiceError (rejects) as `checkFolderOwner`
 */
export async function claimFolder(directory: string, owner: FolderOwner): Promise<ClaimedFormat> {
  const found = await readOwner(directory, owner)
  const environments = found?.environments ?? (found ? environmentsOfBefore(directory, owner) : [])
  const wasUnmarked = found !== undefined && found.owner === undefined
  if (found?.owner === undefined || found.version < formatVersion) {
    await writeFormat(directory, { version: formatVersion, owner, environments })
  }
  return { wasUnmarked, environments }
}

/** Adds an environment to those that were made. */
export async function noteEnvironment(
  directory: string,
  owner: FolderOwner,
  environments: readonly string[],
): Promise<void> {
  await writeFormat(directory, { version: formatVersion, owner, environments })
}

/** A release that did not list its environments made the outbox at its first start. */
/**
 * Whose a folder is.
 *
 * @returns undefined when the folder does not say so, or cannot be read
 */
export async function folderOwnerOf(directory: string): Promise<FolderOwner | undefined> {
  const file = path.join(directory, formatName)
  const bytes = await readIfPresent(file).catch(() => undefined)
  return bytes && parseFormat(bytes.toString('utf8'))?.owner
}

function environmentsOfBefore(directory: string, owner: FolderOwner): string[] {
  const { environments } = owners[owner]
  const isMade = (name: string) => name === 'outbox' || existsSync(path.join(directory, name))
  return environments.filter(isMade)
}

/** @returns undefined for a folder that holds nothing of Sluice yet */
async function readOwner(folder: string, wanted: FolderOwner): Promise<FolderFormat | undefined> {
  const format = await readFormat(folder, owners[wanted].contents)
  if (format === undefined) return undefined
  const owner = format.owner ?? (await formerOwner(folder, wanted))
  if (owner === wanted) return format
  throw new SluiceError(
    'DataFolderOfAnother',
    `The data folder ${folder} belongs to ${owners[owner].whose}: ${owners[wanted].wayOut}`,
  )
}

/**
 * Whose a folder is that 0.1.0 wrote, which did not say. Where nothing in it tells a lab and an
 * engine apart, either may have it: the process that takes it says so in its log.
 */
async function formerOwner(folder: string, wanted: FolderOwner): Promise<FolderOwner> {
  const holds = (name: string) => existsSync(path.join(folder, name))
  if (holds(labFileName)) return 'lab'
  const accountIds = await accountsOfMappings(folder)
  if (accountIds.length > 0) return accountIds.includes(formerLabAccountId) ? 'lab' : 'engine'
  if (holds('outbox')) return wanted === 'lab' ? 'lab' : 'engine'
  return wanted === 'lab-streams' || holds('lab') ? 'lab-streams' : 'engine'
}

/** The account of a lab of 0.1.0. */
const formerLabAccountId = '000000000000'
const accountOfMapping = /"EventSourceArn":\s*"arn:[^:"]*:kinesis:[^:"]*:(\d{12}):/

/** The accounts whose streams the event source mappings in a data folder of 0.1.0 read. */
async function accountsOfMappings(folder: string): Promise<string[]> {
  const mappings = path.join(folder, 'event-source', 'mappings')
  try {
    const names = (await ifPresent(readdir(mappings))) ?? []
    const accountIds: string[] = []
    for (const name of names.filter((each) => each.endsWith('.json'))) {
      const bytes = await readIfPresent(path.join(mappings, name))
      // By its text, so that a damaged mapping still tells.
      const accountId = accountOfMapping.exec(bytes?.toString('utf8') ?? '')?.[1]
      if (accountId !== undefined) accountIds.push(accountId)
    }
    return accountIds
  } catch (thrown) {
    throw unusable(folder, `its event source mappings cannot be read: ${messageOf(thrown)}`, thrown)
  }
}

/** Undefined for a folder that holds nothing of Sluice yet. */
async function readFormat(
  folder: string,
  contents: readonly string[],
): Promise<FolderFormat | undefined> {
  const bytes = await readIfPresent(path.join(folder, formatName)).catch((thrown: unknown) => {
    throw unusable(folder, `${formatName} cannot be read: ${messageOf(thrown)}`, thrown)
  })
  if (bytes === undefined) return refuseContents(folder, contents)
  const format = parseFormat(bytes.toString('utf8'))
  if (format && format.version >= firstVersion && format.version <= formatVersion) return format
  if (format !== undefined && format.version > formatVersion) {
    throw new SluiceError(
      'DataFolderVersionUnsupported',
      `The data folder ${folder} was written by a newer release (format ${format.version}; this ` +
        `one knows ${formatVersion}): use that release, or choose another folder`,
    )
  }
  throw unusable(folder, `${formatName} does not say which format it has`)
}

/** Files that Sluice does not write, such as a log, may stand in a data folder. */
async function refuseContents(folder: string, contents: readonly string[]): Promise<undefined> {
  const names = await ifPresent(readdir(folder)).catch((thrown: unknown) => {
    throw unusable(folder, `it cannot be read: ${messageOf(thrown)}`, thrown)
  })
  const left = contents.find((name) => names?.includes(name))
  if (left === undefined) return undefined
  throw unusable(
    folder,
    `it holds ${left} but no ${formatName}, so that nothing says which format ${left} has: ` +
      `move ${left} away, or choose another folder`,
  )
}

async function writeFormat(folder: string, format: FolderFormat): Promise<void> {
  try {
    const text = `${JSON.stringify(format)}\n`
    await writeDurably(path.join(folder, formatName), text, { mode: 0o600 })
  } catch (error) {
    throw unusable(folder, `${formatName} cannot be written: ${messageOf(error)}`, error)
  }
}

/** Undefined for what is no format, or names an owner that this release does not know. */
function parseFormat(text: string): FolderFormat | undefined {
  try {
    const format: unknown = JSON.parse(text)
    if (typeof format !== 'object' || format === null || !('version' in format)) return undefined
    const { version } = format
    if (typeof version !== 'number' || !Number.isInteger(version)) return undefined
    const owner = 'owner' in format ? format.owner : undefined
    // What a newer release says besides its version is not looked at.
    if (version > formatVersion || owner === undefined) return { version, owner: undefined }
    const environments = 'environments' in format ? format.environments : undefined
    if (!isOwner(owner) || !isListOfNames(environments)) return undefined
    return { version, owner, environments }
  } catch {
    return undefined
  }
}

function isListOfNames(value: unknown): value is readonly string[] | undefined {
  return (
    value === undefined || (Array.isArray(value) && value.every((name) => typeof name === 'string'))
  )
}

function isOwner(value: unknown): value is FolderOwner {
  return typeof value === 'string' && Object.hasOwn(owners, value)
}

export function unusable(folder: string, reason: string, cause?: unknown): SluiceError {
  const message = `The data folder ${folder} is not usable: ${reason}`
  return new SluiceError('DataFolderUnusable', message, { cause })
}
