import { SluiceError } from '../../base/errors.ts'
import type { Dialect } from '../../sql/values/dialect.ts'
import { readJson } from '../../sql/values/json-reader.ts'
import { writeJson } from '../../sql/values/json-writer.ts'
import { exactDouble, numberFromInteger } from '../../sql/values/numbers.ts'
import { isNumber, isObject } from '../../sql/values/values.ts'
import type { SqlObject, Value } from '../../sql/values/values.ts'
import { openRow, sealRow } from '../../storage/sealed-row.ts'
import type { ShadowDocument } from './shadow-document.ts'

/** What is stored of a shadow: its document or, once it is deleted, its last version. */
export type StoredShadow =
  | { readonly document: ShadowDocument }
  | { readonly document: undefined; readonly version: number; readonly deletedMs: number }

/** Numbers are written as they were read. */
const shadowDialect: Dialect = Object.freeze({
  version: '2015-10-08',
  wholeDecimalsAreInts: false,
  isSecondVersion: false,
})

/** @param name of the row, which its checksum covers */
export function encodeShadowRow(name: string, stored: StoredShadow): Buffer {
  return sealRow(Buffer.from(name), Buffer.from(textOf(stored)))
}

/** @throws SluiceError DataFolderDamaged: the row is not as it was written */
export function decodeShadowRow(name: string, stored: Buffer): StoredShadow {
  const text = openRow(Buffer.from(name), stored, () => false)
  const row = text && readJson(text.toString())
  const read = isObject(row) ? readRow(row) : undefined
  if (read !== undefined) return read
  throw new SluiceError('DataFolderDamaged', `the shadow ${name} is damaged`)
}

function textOf(stored: StoredShadow): string {
  const { document } = stored
  const row =
    document === undefined
      ? objectOf({
          version: numberFromInteger(stored.version),
          deletedMs: numberFromInteger(stored.deletedMs),
        })
      : objectOf({
          version: numberFromInteger(document.version),
          timestampS: numberFromInteger(document.timestampS),
          state: document.state,
          metadata: document.metadata,
        })
  return jsonOf(row)
}

function readRow(row: SqlObject): StoredShadow | undefined {
  const version = integerAt(row, 'version')
  const deletedMs = integerAt(row, 'deletedMs')
  const timestampS = integerAt(row, 'timestampS')
  const state = row.get('state')
  const metadata = row.get('metadata')
  if (version === undefined) return undefined
  if (deletedMs !== undefined) return { document: undefined, version, deletedMs }
  if (timestampS === undefined || !isObject(state) || !isObject(metadata)) return undefined
  return { document: { state, metadata, version, timestampS } }
}

function integerAt(row: SqlObject, name: string): number | undefined {
  const value = row.get(name)
  return isNumber(value) ? exactDouble(value) : undefined
}

export const objectOf = (members: Readonly<Record<string, Value>>): SqlObject =>
  new Map(Object.entries(members))

/** A document is bounded, and so is what is told of it. */
export const jsonOf = (value: SqlObject): string =>
  writeJson(value, shadowDialect, Number.POSITIVE_INFINITY) ?? ''
