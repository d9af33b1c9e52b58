/**
 * The topic rule destinations on disk: `<folder>/<UUID>.json`, one file for each, readable by its
 * owner alone, because it holds the token that confirms the destination.
 *
 * Invariants: a file is complete or missing: it is written under another name, flushed and renamed.
 * A file that is not usable concerns its own destination only, and stays for its owner to mend.
 */
import { mkdir, readdir } from 'node:fs/promises'
import path from 'node:path'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Value } from 'typebox/value'
import type { InfluxdbConfiguration } from '../../aws/http/http-access.ts'
import { messageOf } from '../../base/errors.ts'
import { schemaProblem } from '../../base/schema-problem.ts'
import { flushEntryOf, removeDurably, writeDurably } from '../../storage/durable-file.ts'
import { readPlainFile } from '../../storage/file-reads.ts'

const sharedMembers = {
  uuid: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
  statusReason: Type.Optional(Type.String()),
  /** All times are epoch milliseconds. */
  createdMs: Type.Number(),
  updatedMs: Type.Number(),
}

const httpSchema = Type.Object({
  ...sharedMembers,
  confirmationUrl: Type.String({ maxLength: 2_000 }),
  status: Type.Union([
    Type.Literal('ENABLED'),
    Type.Literal('DISABLED'),
    Type.Literal('IN_PROGRESS'),
  ]),
  /** The newest confirmation. */
  token: Type.String({ minLength: 1, maxLength: 2_048 }),
  tokenExpiresMs: Type.Number(),
  /** The URL of the HTTP API, where the request that asked for the confirmation came. */
  confirmBase: Type.Optional(Type.String()),
  /** Whether the endpoint has taken the request that asks for the confirmation. */
  wasRequested: Type.Boolean(),
})

const influxdbSchema = Type.Object({
  ...sharedMembers,
  influxdb: Type.Object({
    endpoint: Type.String({ maxLength: 2_000 }),
    influxDBVersion: Type.Union([Type.Literal('V2'), Type.Literal('V3')]),
    secretId: Type.String(),
    secretType: Type.Optional(
      Type.Union([Type.Literal('SecretString'), Type.Literal('SecretBinary')]),
    ),
    secretKey: Type.Optional(Type.String()),
  }),
  status: Type.Union([Type.Literal('ENABLED'), Type.Literal('DISABLED'), Type.Literal('ERROR')]),
})

type Kept<Stored, Optional extends keyof Stored> = Readonly<
  Omit<Stored, Optional> & { [Name in Optional]?: Stored[Name] | undefined }
>

/** That of an HTTP action. A confirmation that timed out follows from the time. */
export type StoredHttpDestination = Kept<Static<typeof httpSchema>, 'statusReason' | 'confirmBase'>

export type StoredInfluxdbDestination = Kept<
  Omit<Static<typeof influxdbSchema>, 'influxdb'>,
  'statusReason'
> & { readonly influxdb: InfluxdbConfiguration }

/** A destination as it is kept. */
export type StoredDestination = StoredHttpDestination | StoredInfluxdbDestination

export function isInfluxdb(stored: StoredDestination): stored is StoredInfluxdbDestination {
  return 'influxdb' in stored
}

interface DestinationFiles {
  /**
   * @returns the destinations, and a text for each file that cannot be used
   * @throws what the system throws (rejects): the folder cannot be listed
   */
  readAll(): Promise<{
    readonly destinations: readonly StoredDestination[]
    readonly problems: readonly string[]
  }>
  write(destination: StoredDestination): Promise<void>
  remove(uuid: string): Promise<void>
}

const fileBytesMax = 65_536
const filesAtOnceMax = 16

/** @throws what the system throws (rejects): the folder cannot be made */
export async function openDestinationFiles(folder: string): Promise<DestinationFiles> {
  const wasMade = (await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined
  if (wasMade) await flushEntryOf(folder)
  const fileOf = (uuid: string) => path.join(folder, `${uuid}.json`)

  return {
    async readAll() {
      const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted()
      const found: (StoredDestination | string)[] = []
      for (let first = 0; first < names.length; first += filesAtOnceMax) {
        const some = names.slice(first, first + filesAtOnceMax)
        const read = await Promise.all(some.map((name) => readOne(path.join(folder, name))))
        found.push(...read.filter((each) => each !== undefined))
      }
      return {
        destinations: found.filter((each) => typeof each !== 'string'),
        problems: found.filter((each) => typeof each === 'string'),
      }
    },
    write: (destination) =>
      writeDurably(fileOf(destination.uuid), `${JSON.stringify(destination, null, 2)}\n`, {
        mode: 0o600,
      }),
    remove: (uuid) => removeDurably(fileOf(uuid)),
  }
}

async function readOne(file: string): Promise<StoredDestination | string | undefined> {
  try {
    const read = await readPlainFile(file, fileBytesMax)
    if (read === undefined) return undefined
    const stored = parseDestination(read.bytes)
    if (path.basename(file) === `${stored.uuid}.json`) return stored
    // A copy would come back when the destination is deleted.
    return `${file}: its uuid is ${stored.uuid}, which is not the name of the file`
  } catch (thrown) {
    return `${file}: ${messageOf(thrown)}`
  }
}

/** @throws what is wrong with the text of a destination */
export function parseDestination(text: Buffer): StoredDestination {
  const stored: unknown = JSON.parse(text.toString())
  const isOfInfluxdb = typeof stored === 'object' && stored !== null && 'influxdb' in stored
  const schema = isOfInfluxdb ? influxdbSchema : httpSchema
  if (!Value.Check(schema, stored)) throw schemaProblem(Value.Errors(schema, stored))
  return stored
}
