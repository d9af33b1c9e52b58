import path from 'node:path'
import { readdir } from 'node:fs/promises'
import type { TSchema } from 'typebox'
import { lineOf } from '../../base/errors.ts'
import { parseAccessKeys } from '../../identity/access-keys/access-keys.ts'
import { parsePasswordFile } from '../../identity/passwords/password-file.ts'
import {
  mappingKind,
  readMappingRecord,
  textOfMapping,
} from '../../event-source/cluster/mapping-record.ts'
import { mappingFolderName } from '../../event-source/event-source-mappings.ts'
import { openMappingFiles } from '../../event-source/mapping-files.ts'
import { createPolicyFiles } from '../../identity/policies/policy-records.ts'
import {
  narrowScope,
  parseSharedPolicy,
  policyKinds,
  scopeName,
  sharedPolicyText,
} from '../../identity/policies/shared-policies.ts'
import { secretKinds } from '../../identity/shared-secrets.ts'
import { certificateForm } from '../../registry/certificates.ts'
import { openRecordFiles } from '../../registry/record-files.ts'
import type { RecordForm } from '../../registry/records.ts'
import { registryFolderName, scopeFileName } from '../../registry/registry.ts'
import { registryKinds } from '../../registry/shared-records.ts'
import { thingForm } from '../../registry/thing-record.ts'
import { readPayloadFile } from '../../rules/payload.ts'
import { createRuleFiles, makeFolder, parseMetadata } from '../../rules/rule-files.ts'
import { parseSharedRule, ruleKind, sharedRuleText } from '../../rules/shared-rules.ts'
import { writeDurably } from '../../storage/durable-file.ts'
import { ifPresent, nodeFileReads } from '../../storage/file-reads.ts'
import { readSecretFile, writeSecretFile } from '../../storage/secret-file.ts'

/**
 * A folder with what the nodes of a cluster share, as files of a single engine:
 *
 *   rules/<name>.json, .meta.json      registry/things/      passwords
 *   policies/<name>.json, .meta.json   registry/certificates/   credentials.json
 *   event-source/mappings/
 *
 * What is not there is passed over, so the data folder of an engine is such a folder, too.
 */
export interface FolderPart {
  /** What it holds, for people: `rules`. */
  readonly title: string
  readonly kind: string
  /**
   * The values of entries by their names.
   *
   * @param note takes what is wrong with files that cannot be used, one line each
   * @throws what the system throws (rejects)
   */
  readonly read: (folder: string, note: (fault: string) => void) => Promise<Values>
  /** What people should know of entries that are added: one sentence. */
  readonly remark?: string
  /** Writes over files that are there. @throws what the system throws (rejects) */
  readonly write: (folder: string, values: Values) => Promise<void>
}

export type Values = ReadonlyMap<string, string>

const rules: FolderPart = {
  title: 'rules',
  kind: ruleKind,
  async read(folder, note) {
    const directory = path.join(folder, 'rules')
    const values = new Map<string, string>()
    if (!(await isThere(directory))) return values
    const files = createRuleFiles(directory)
    for (const name of [...(await files.names()), ...(await files.namesOfMetadataAlone())]) {
      await noting(note, path.join(directory, name), async () => {
        const payload = (await files.read(name))?.payload
        const metadata = await files.readMetadata(name)
        if (payload) throwFirst(readPayloadFile(payload).faults)
        if (metadata) parseMetadata(metadata)
        const texts = { payload: payload?.toString(), metadata: metadata?.toString() }
        values.set(name, sharedRuleText(texts))
      })
    }
    return values
  },
  async write(folder, values) {
    if (values.size === 0) return
    const directory = path.join(folder, 'rules')
    await makeFolder(directory)
    const files = createRuleFiles(directory)
    for (const [name, value] of values) {
      const { payload, metadata } = parseSharedRule(name, Buffer.from(value), 'the cluster')
      const now = (await files.read(name))?.payload
      const found = { payload: now, metadata: await files.readMetadata(name) }
      await files.write(name, { payload, metadata }, found)
    }
  },
}

const policies: FolderPart = {
  title: 'policies',
  kind: policyKinds.policy,
  async read(folder, note) {
    const directory = path.join(folder, 'policies')
    const values = new Map<string, string>()
    if (!(await isThere(directory))) return values
    const files = createPolicyFiles(directory)
    for (const name of await files.names()) {
      await noting(note, path.join(directory, name), async () => {
        const record = await files.read(name)
        if (!record) return
        const value = sharedPolicyText(record)
        parseSharedPolicy(name, Buffer.from(value), directory)
        values.set(name, value)
      })
    }
    return values
  },
  async write(folder, values) {
    // An empty folder of policies would deny everything.
    if (values.size === 0) return
    const directory = path.join(folder, 'policies')
    await makeFolder(directory)
    const files = createPolicyFiles(directory)
    for (const [name, value] of values) {
      const record = parseSharedPolicy(name, Buffer.from(value), 'the cluster')
      await files.change(name, () => record)
    }
  },
}

/** Whether policies are for registered certificates alone: a file notes that in a data folder. */
const policyScope: FolderPart = {
  title: 'scopes of policies',
  kind: policyKinds.scope,
  async read(folder) {
    const file = path.join(folder, registryFolderName, scopeFileName)
    const isNarrow = await isThere(file)
    return new Map(isNarrow ? [[scopeName, narrowScope]] : [])
  },
  async write(folder, values) {
    if (values.get(scopeName) !== narrowScope) return
    const directory = path.join(path.resolve(folder), registryFolderName)
    await makeFolder(directory)
    // It holds for this folder of policies, and for no other one.
    const text = path.join(path.resolve(folder), 'policies')
    await writeDurably(path.join(directory, scopeFileName), text, { mode: 0o600 })
  },
}

const passwords: FolderPart = {
  title: 'passwords',
  kind: secretKinds.password,
  async read(folder, note) {
    const file = path.join(folder, 'passwords')
    const values = new Map<string, string>()
    await noting(note, file, async () => {
      const text = (await readSecretFile(file))?.text ?? ''
      const users = parsePasswordFile(text)
      for (const line of text.split(/\r?\n/)) {
        const colon = line.indexOf(':')
        const user = line.slice(0, Math.max(0, colon))
        if (users.has(user)) values.set(user, line.slice(colon + 1).trimEnd())
      }
    })
    return values
  },
  async write(folder, values) {
    if (values.size === 0) return
    await makeFolder(folder)
    const lines = [...values].map(([user, hash]) => `${user}:${hash}\n`)
    await writeSecretFile(path.join(folder, 'passwords'), lines.join(''))
  },
}

const accessKeys: FolderPart = {
  title: 'access keys',
  kind: secretKinds.accessKey,
  async read(folder, note) {
    const file = path.join(folder, 'credentials.json')
    const values = new Map<string, string>()
    await noting(note, file, async () => {
      const text = (await readSecretFile(file))?.text
      if (text === undefined) return
      parseAccessKeys(text)
      const { accessKeys: entries } = JSON.parse(text) as AccessKeyFile
      for (const entry of entries) values.set(entry.accessKeyId, JSON.stringify(entry))
    })
    return values
  },
  async write(folder, values) {
    if (values.size === 0) return
    await makeFolder(folder)
    const document = { accessKeys: [...values.values()].map((text): unknown => JSON.parse(text)) }
    const text = `${JSON.stringify(document, undefined, 2)}\n`
    await writeSecretFile(path.join(folder, 'credentials.json'), text)
  },
}

interface AccessKeyFile {
  readonly accessKeys: readonly { readonly accessKeyId: string }[]
}

const recordPart = <Schema extends TSchema>(
  title: 'things' | 'certificates',
  form: RecordForm<Schema>,
): FolderPart => ({
  title,
  kind: registryKinds[title],
  async read(folder, note) {
    const directory = path.join(folder, registryFolderName, title)
    const values = new Map<string, string>()
    if (!(await isThere(directory))) return values
    const logger = { error: (text: unknown) => note(String(text)) }
    const files = await openRecordFiles({ logger }, { ...form, folder: directory })
    files.follow((name, record) => values.set(name, JSON.stringify(record)))
    return values
  },
  async write(folder, values) {
    if (values.size === 0) return
    const directory = path.join(folder, registryFolderName, title)
    const logger = { error: () => undefined }
    const files = await openRecordFiles({ logger }, { ...form, folder: directory })
    for (const value of values.values()) await files.write(JSON.parse(value), undefined)
  },
})

const mappings: FolderPart = {
  title: 'event source mappings',
  kind: mappingKind,
  remark: 'they begin at their StartingPosition, because positions do not go along',
  async read(folder, note) {
    const directory = path.join(folder, mappingFolderName)
    if (!(await isThere(directory))) return new Map()
    const { files } = await openMappingFiles(directory)
    const { mappings: stored, unusable } = await files.readAll()
    for (const { file, reason } of unusable) note(`${file}: ${reason}`)
    return new Map(stored.map((mapping) => [mapping.uuid, textOfMapping(mapping)]))
  },
  async write(folder, values) {
    if (values.size === 0) return
    const { files } = await openMappingFiles(path.join(path.resolve(folder), mappingFolderName))
    for (const [uuid, value] of values) {
      const { stored, isDeleting } = readMappingRecord(uuid, Buffer.from(value))
      if (!isDeleting) await files.write(stored)
    }
  },
}

/** In the order in which they are written: nothing refers to what comes later. */
export const folderParts: readonly FolderPart[] = Object.freeze([
  recordPart('certificates', certificateForm),
  recordPart('things', thingForm),
  policies,
  policyScope,
  passwords,
  accessKeys,
  rules,
  mappings,
])

/** Whether the folder is absent or empty. */
export async function isEmptyFolder(folder: string): Promise<boolean> {
  return ((await ifPresent(readdir(folder))) ?? []).length === 0
}

const isThere = async (directory: string) =>
  (await ifPresent(nodeFileReads.stat(directory))) !== undefined

async function noting(
  note: (fault: string) => void,
  file: string,
  read: () => Promise<void>,
): Promise<void> {
  try {
    await read()
  } catch (thrown) {
    const text = lineOf(thrown)
    note(text.includes(file) ? text : `${file}: ${text}`)
  }
}

function throwFirst(faults: readonly Error[] | undefined): void {
  const [first] = faults ?? []
  if (first) throw first
}
