import { randomBytes } from 'node:crypto'
import { invalidRequest, messageOf } from '../../base/errors.ts'
import type { SigningKey } from '../../sigv4/verify-signature.ts'
import { withFileLock } from '../../storage/file-lock.ts'
import { compilePolicy } from '../policies/policy.ts'
import type { Policy } from '../policies/policy.ts'
import { openReloadedFile } from '../../storage/reloaded-file.ts'
import type { ReloadedFileDependencies, SecretSource } from '../../storage/reloaded-file.ts'
import { invalidFile, readSecretFile, writeSecretFile } from '../../storage/secret-file.ts'

/**
 * The access keys that sign requests, each with its policy. The file has mode 600:
 *
 *   {"accessKeys": [
 *     {"accessKeyId": "...", "secretAccessKey": "...", "policy": {"Version": ..., "Statement":
 *     ...},
 *      "description": "optional", "sessionToken": "optional", "expiresAt": "optional, ISO 8601"}
 *   ]}
 */
export interface AccessKey extends SigningKey {
  readonly accessKeyId: string
  readonly policy: Policy
}

export interface AccessKeys {
  /**
   * @returns undefined for an unknown key. The id is no secret; the secret is not compared here.
   */
  find(accessKeyId: string): AccessKey | undefined
  /** Without any key no request can be authenticated. */
  readonly count: number
  /** Whether the file cannot be read: until it can, no request is authenticated. */
  isUnreadable(): boolean
  /** Whether a decision of a key's policy may depend on the id of the account. */
  namesAccount(): boolean
  close(): void
}

/** The members of an entry that `AccessKeys` needs; entries are written back unchanged. */
interface Entry {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly policy: unknown
}

export const accessKeysMax = 10_000
const members: readonly string[] = [
  'accessKeyId',
  'secretAccessKey',
  'policy',
  'description',
  'sessionToken',
  'expiresAt',
]
/** The maximum is AWS's; the minimum allows short names in a lab. */
const accessKeyIdForm = /^[\w-]{4,128}$/
const secretForm = /^[\x21-\x7e]{16,128}$/

/**
 * Opens the file and follows its changes. A missing file counts as one without keys.
 *
 * @throws SluiceError IdentityFileInvalid
 */
export async function openAccessKeys(
  dependencies: ReloadedFileDependencies,
  options: { readonly file: string; readonly source?: SecretSource | undefined },
): Promise<AccessKeys> {
  const opened = await openReloadedFile<ReadonlyMap<string, AccessKey>>(dependencies, {
    ...options,
    kind: 'accessKeys',
    title: 'the credentials file',
    parse: parseAccessKeys,
    whenAbsent: new Map(),
    whenUnreadable: new Map(),
  })
  return {
    find: (accessKeyId) => opened.current().get(accessKeyId),
    get count() {
      return opened.current().size
    },
    isUnreadable: () => opened.isUnreadable(),
    namesAccount: () => [...opened.current().values()].some(({ policy }) => policy.namesAccount),
    close: () => opened.close(),
  }
}

/** @throws SluiceError InvalidRequestException or MalformedPolicyException, naming the member */
export function parseAccessKeys(text: string): ReadonlyMap<string, AccessKey> {
  const keys = new Map<string, AccessKey>()
  for (const [index, entry] of entriesOf(text).entries()) {
    const key = readKey(entry, `accessKeys[${index}]`)
    if (keys.has(key.accessKeyId))
      throw invalidRequest(`accessKeyId ${key.accessKeyId} is listed twice`)
    keys.set(key.accessKeyId, key)
  }
  return keys
}

export interface NewAccessKey {
  /** What the key may do: a policy document. */
  readonly policy: unknown
  readonly description?: string | undefined
}

/**
 * Makes a pair and adds it to the file, which is made if it is not there. Pairs that are made at
 * once, by other processes as well, are all added.
 *
 * @returns the pair; besides, the secret is only in the file
 * @throws SluiceError IdentityFileInvalid, MalformedPolicyException
 */
export async function createAccessKey(
  file: string,
  { policy, description }: NewAccessKey,
): Promise<{ readonly accessKeyId: string; readonly secretAccessKey: string }> {
  const added = makeAccessKey({ policy, description })
  await withFileLock(file, async () => {
    const before = await readSecretFile(file)
    const entries = before ? readEntriesOf(file, before.text) : []
    const text = JSON.stringify({ accessKeys: [...entries, added] }, undefined, 2)
    await writeSecretFile(file, `${text}\n`)
  })
  const { accessKeyId, secretAccessKey } = added
  return { accessKeyId, secretAccessKey }
}

/**
 * Takes a key out of the file.
 *
 * @returns whether it was there, and how many keys are left
 * @throws SluiceError IdentityFileInvalid (rejects): the file cannot be used
 */
export function deleteAccessKey(
  file: string,
  accessKeyId: string,
): Promise<{ readonly wasThere: boolean; readonly left: number }> {
  return withFileLock(file, async () => {
    const before = await readSecretFile(file)
    const entries = before ? readEntriesOf(file, before.text) : []
    const kept = entries.filter(
      (entry) => (entry as { readonly accessKeyId: string }).accessKeyId !== accessKeyId,
    )
    const wasThere = kept.length < entries.length
    if (wasThere) {
      await writeSecretFile(file, `${JSON.stringify({ accessKeys: kept }, undefined, 2)}\n`)
    }
    return { wasThere, left: kept.length }
  })
}

/**
 * Makes a pair with what the file holds beside it.
 *
 * @throws SluiceError MalformedPolicyException
 */
export function makeAccessKey({ policy, description }: NewAccessKey) {
  compilePolicy(policy)
  const pair = {
    accessKeyId: `SLUICE${randomLetters(14)}`,
    secretAccessKey: randomLetters(40).toLowerCase(),
  }
  return { ...pair, description, policy }
}

/** Refuses to add to an invalid file. */
function readEntriesOf(file: string, text: string): readonly unknown[] {
  try {
    parseAccessKeys(text)
    return entriesOf(text)
  } catch (thrown) {
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

/**
 * Five bits each (32 divides 256, so that all are equally likely), and nothing that a shell, a URL
 * or an option parser takes for something else.
 */
function randomLetters(count: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  return [...randomBytes(count)].map((byte) => alphabet[byte % alphabet.length]).join('')
}

function entriesOf(text: string): readonly unknown[] {
  const document = parseJson(text)
  const entries = isRecord(document) ? document['accessKeys'] : undefined
  if (!isRecord(document) || !Array.isArray(entries) || Object.keys(document).length > 1) {
    throw invalidRequest('must be {"accessKeys": [...]} and nothing beside it')
  }
  if (entries.length > accessKeysMax) throw invalidRequest(`more than ${accessKeysMax} access keys`)
  return entries as readonly unknown[]
}

function readKey(value: unknown, where: string): AccessKey {
  if (!isRecord(value)) throw invalidRequest(`${where} must be an object`)
  const unknown = Object.keys(value).find((name) => !members.includes(name))
  if (unknown !== undefined) throw invalidRequest(`${where}.${unknown} is not a known member`)
  const entry = value as Readonly<Record<string, unknown>> & Entry
  requireText(entry.accessKeyId, accessKeyIdForm, `${where}.accessKeyId`)
  requireText(entry.secretAccessKey, secretForm, `${where}.secretAccessKey`)
  const { description, sessionToken, expiresAt } = value
  if (description !== undefined) requireText(description, /^.{0,256}$/u, `${where}.description`)
  if (sessionToken !== undefined) requireText(sessionToken, /^\S{16,}$/, `${where}.sessionToken`)
  return {
    accessKeyId: entry.accessKeyId,
    secretAccessKey: entry.secretAccessKey,
    policy: compilePolicy(entry.policy, `${where}.policy`),
    sessionToken,
    expiresMs: expiresAt === undefined ? undefined : timeOf(expiresAt, `${where}.expiresAt`),
  }
}

/** The message does not show the value, which may be a secret. */
function requireText(value: unknown, form: RegExp, where: string): asserts value is string {
  if (typeof value === 'string' && form.test(value)) return
  throw invalidRequest(`${where} must be a text that matches ${form.source}`)
}

function timeOf(value: unknown, where: string): number {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/
  const ms = typeof value === 'string' && form.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isNaN(ms)) throw invalidRequest(`${where} must be a time such as 2026-12-31T23:59:59Z`)
  return ms
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes the text, which may hold a secret.
    throw invalidRequest('is not a JSON document')
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
