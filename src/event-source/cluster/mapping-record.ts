import { createHash } from 'node:crypto'
import { parseMapping } from '../mapping-files.ts'
import type { StoredMapping } from '../mapping-files.ts'

/**
 * A mapping in the state of a cluster, an entry `mapping.<UUID>` of JSON: what its file holds in
 * the data folder of a single engine, and whether it is being deleted.
 */
export interface MappingRecord {
  readonly stored: StoredMapping
  /** It stays until no node works on it any more. */
  readonly isDeleting: boolean
  /** Identifies its settings. Nodes with others are to stop. */
  readonly generation: string
}

export const mappingKind = 'mapping'

export function textOfMapping(stored: StoredMapping, isDeleting = false): string {
  const { uuid, settings, tags, heldBy, lastModifiedMs } = stored
  const marked = isDeleting ? { isDeleting } : {}
  return JSON.stringify({ uuid, settings, tags, heldBy, lastModifiedMs, ...marked })
}

/** @throws Error: what is wrong with the entry */
export function readMappingRecord(uuid: string, value: Buffer): MappingRecord {
  const text = value.toString()
  const stored = parseMapping(text, uuid)
  const { isDeleting = false, settings } = JSON.parse(text) as Readonly<Record<string, unknown>>
  // As they are written: releases may complete them with other defaults.
  const generation = createHash('sha256').update(JSON.stringify(settings)).digest('hex')
  return { stored, isDeleting: isDeleting === true, generation: generation.slice(0, 16) }
}
