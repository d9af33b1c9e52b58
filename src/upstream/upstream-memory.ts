import { randomUUID } from 'node:crypto'
import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'
import { writeDurably } from '../storage/durable-file.ts'
import { readIfPresent } from '../storage/file-reads.ts'

/**
 * What must outlive the process, because the broker's session does: who Sluice is there, and to
 * what that session may be subscribed.
 *
 *     upstream.json   {"madeClientId": "sluice-...", "clientId": "sluice-...",
 *                      "broker": "host:port", "filters": ["#"]}
 */
export interface UpstreamMemory {
  /** The client id that was made here; another one may be configured. */
  readonly madeClientId: string
  /** Filters to which the session of this client at this broker may be subscribed. */
  filtersOf(session: SessionName): readonly string[]
  /** Durable when it resolves. */
  note(session: SessionName, filters: readonly string[]): Promise<void>
}

interface SessionName {
  readonly clientId: string
  readonly broker: string
}

interface Content extends SessionName {
  readonly madeClientId: string
  readonly filters: readonly string[]
}

const upstreamFileName = 'upstream.json'

/** @throws SluiceError (rejects) DataFolderDamaged, DataFolderUnusable */
export async function openUpstreamMemory(directory: string): Promise<UpstreamMemory> {
  const file = path.join(directory, upstreamFileName)
  let content = await read(file)
  if (content === undefined) {
    const madeClientId = `sluice-${randomUUID().replaceAll('-', '').slice(0, 16)}`
    content = { madeClientId, clientId: madeClientId, broker: '', filters: [] }
    await write(file, content)
  }
  let known = content
  const isOf = ({ clientId, broker }: SessionName) =>
    known.clientId === clientId && known.broker === broker
  return {
    madeClientId: known.madeClientId,
    filtersOf: (session) => (isOf(session) ? known.filters : []),
    async note({ clientId, broker }, filters) {
      const isSame =
        isOf({ clientId, broker }) &&
        known.filters.length === filters.length &&
        filters.every((filter, index) => known.filters[index] === filter)
      if (isSame) return
      const next = { madeClientId: known.madeClientId, clientId, broker, filters }
      await write(file, next)
      known = next
    },
  }
}

async function read(file: string): Promise<Content | undefined> {
  let text: string | undefined
  try {
    text = (await readIfPresent(file))?.toString()
  } catch (thrown) {
    throw unusable(file, `cannot be read: ${messageOf(thrown)}`, thrown)
  }
  if (text === undefined) return undefined
  const parsed = parse(text)
  if (parsed !== undefined) return parsed
  throw new SluiceError(
    'DataFolderDamaged',
    `${file} is damaged. It holds the client id at the upstream broker: restore it, or remove it ` +
      'to begin with a new session, without what waits in the old one',
  )
}

function parse(text: string): Content | undefined {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof json !== 'object' || json === null) return undefined
  const { madeClientId, clientId, broker, filters } = json as Record<string, unknown>
  if (typeof madeClientId !== 'string' || typeof clientId !== 'string') return undefined
  if (typeof broker !== 'string' || !Array.isArray(filters)) return undefined
  const texts = filters.filter((filter) => typeof filter === 'string')
  return texts.length === filters.length
    ? { madeClientId, clientId, broker, filters: texts }
    : undefined
}

async function write(file: string, content: Content): Promise<void> {
  try {
    await writeDurably(file, `${JSON.stringify(content, undefined, 2)}\n`)
  } catch (thrown) {
    throw unusable(file, `cannot be written: ${messageOf(thrown)}`, thrown)
  }
}

const unusable = (file: string, problem: string, cause: unknown): SluiceError =>
  new SluiceError('DataFolderUnusable', `${file} ${problem}`, { cause })
