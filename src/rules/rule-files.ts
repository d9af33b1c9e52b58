import { mkdir, readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { SluiceError, messageOf } from '../base/errors.ts'
import { parseDelivery } from './delivery.ts'
import type { RuleDelivery } from './delivery.ts'
import { parseJson, payloadBytesMax, ruleNamePattern } from './payload.ts'
import { schemaProblem } from '../base/schema-problem.ts'
import { flushEntryOf, removeUnchanged, replaceDurably } from '../storage/durable-file.ts'
import { withFileLock } from '../storage/file-lock.ts'
import { readPlainFile } from '../storage/file-reads.ts'

/**
 * The rules folder.
 *
 *   <name>.json       the payload and nothing else, so that it can be given to AWS as it is
 *   <name>.meta.json  what AWS keeps beside a payload and what is ours: createdAt, tags, delivery
 *   <name>.test.json  the rule's tests; not touched here
 *
 * Invariants:
 * - A file is replaced by rename, so that a reader and a crash find the old text or the new one.
 * - A file is written over only while it holds what its writer has read: it may be edited, and
 *   other engines may use the folder.
 * - When a write has resolved, text and folder entry are on disk.
 * - The rule exists when `<name>.json` does. Its metadata is written before it and removed after
 *   it: whatever a crash leaves is a rule with its metadata, or metadata without a rule.
 * - Metadata without a rule holds the delivery settings of a rule to come.
 */
export interface RuleFiles {
  /** Names of the rules, sorted. */
  names(): Promise<readonly string[]>
  /**
   * Undefined when there is no such rule.
   *
   * @throws SluiceError InvalidRequestException (rejects): naming the file that cannot be read, or
   *   is no regular file, or is too large
   */
  read(name: string): Promise<RuleFile | undefined>
  /** Names of the metadata without a rule. */
  namesOfMetadataAlone(): Promise<readonly string[]>
  /** The metadata of a rule that may have no payload; undefined when there are none. */
  readMetadata(name: string): Promise<Buffer | undefined>
  /**
   * Writes the texts that are given over what the caller has read.
   *
   * @returns false when payload or metadata are something else, and stand as they were
   */
  write(name: string, texts: RuleTexts, found: FoundTexts): Promise<boolean>
  writeMetadata(name: string, text: string, expected: Uint8Array | undefined): Promise<boolean>
  removeMetadata(name: string, expected: Uint8Array): Promise<boolean>
  /**
   * Removes the payload, and metadata that hold what the caller has read.
   *
   * @returns false when the payload holds something else, and both stand as they were
   */
  remove(name: string, expected: Pick<RuleFile, 'payload' | 'metadata'>): Promise<boolean>
  /** Runs a change that begins with what others wrote before. */
  withLock<Result>(name: string, change: () => Promise<Result>): Promise<Result>
  readonly words: RuleWords
}

/** How log lines and errors speak of rules that others change. */
interface RuleWords {
  /** How the rule was changed: `on disk`. */
  readonly changed: string
  /** What a client is told whose change came too late. */
  readonly changedMeanwhile: (name: string) => string
  /** What can be done about rules that cannot be used. */
  readonly remedy: string
  /** Whether a change of others may be one that no client of the API has asked for. */
  readonly isByHand: boolean
}

/** What a change leaves; undefined for a text that stays as it is. */
interface RuleTexts {
  readonly payload: string | undefined
  readonly metadata: string | undefined
}

/** What a change has read; undefined for what is not there. */
interface FoundTexts {
  readonly payload: Uint8Array | undefined
  readonly metadata: Uint8Array | undefined
}

/** The files of a folder, whose payload can be written alone. */
export interface FolderRuleFiles extends RuleFiles {
  /**
   * Writes a file that holds what the caller has read, undefined for none.
   *
   * @returns false when it holds something else, and stands as it was
   */
  writePayload(name: string, text: string, expected: Uint8Array | undefined): Promise<boolean>
}

export interface RuleFile {
  readonly payload: Buffer
  readonly metadata: Buffer | undefined
  /** When the file was made, in epoch seconds: stands in for `createdAt` of the metadata. */
  readonly madeAt: number
}

/** Members that are not known here are kept as they are when the file is written again. */
export const ruleMetadataSchema = Type.Object({
  createdAt: Type.Optional(Type.Number({ minimum: 0 })),
  tags: Type.Optional(Type.Record(Type.String(), Type.String())),
  /** Its own schema: delivery.ts. */
  delivery: Type.Optional(Type.Unknown()),
})
export type RuleMetadata = Readonly<Omit<Static<typeof ruleMetadataSchema>, 'delivery'>> & {
  readonly delivery?: RuleDelivery | undefined
}

const metadataValidator = Compile(ruleMetadataSchema)
const ruleFileName = new RegExp(`^(${ruleNamePattern.slice(1, -1)})(\\.meta)?\\.json$`)
/** Room for an indented payload; what is larger is not read into memory. */
const fileBytesMax = 4 * payloadBytesMax

/** The rule that a file belongs to; undefined for files that are no rule's payload or metadata. */
export function ruleNameOfFile(fileName: string): string | undefined {
  return ruleFileName.exec(fileName)?.[1]
}

/** @throws SluiceError InvalidRequestException, naming the field */
export function parseMetadata(bytes: Uint8Array): RuleMetadata {
  const json = parseJson(bytes)
  if (!metadataValidator.Check(json)) throw schemaProblem(metadataValidator.Errors(json))
  const { delivery, ...metadata } = json
  return delivery === undefined
    ? metadata
    : { ...metadata, delivery: parseDelivery(delivery, 'delivery') }
}

const isMetadata = (file: string) => file.endsWith('.meta.json')

export function createRuleFiles(directory: string): FolderRuleFiles {
  const payloadPath = (name: string) => path.join(directory, `${name}.json`)
  const metadataPath = (name: string) => path.join(directory, `${name}.meta.json`)

  const namesIn = async (isWanted: (file: string) => boolean): Promise<readonly string[]> => {
    const files = await readdir(directory)
    return files
      .filter(isWanted)
      .map(ruleNameOfFile)
      .filter((name) => name !== undefined)
      .toSorted()
  }
  const names = () => namesIn((file) => !isMetadata(file))
  const writer: TextWriter = {
    writePayload: (name, text, expected) => replaceDurably(payloadPath(name), text, expected),
    writeMetadata: (name, text, expected) => replaceDurably(metadataPath(name), text, expected),
    removeMetadata: (name, expected) => removeUnchanged(metadataPath(name), expected),
  }

  return {
    ...writer,
    words: folderWords,
    names,

    async namesOfMetadataAlone() {
      const rules = new Set(await names())
      return (await namesIn(isMetadata)).filter((name) => !rules.has(name))
    },

    async read(name) {
      const payload = await readRuleFile(payloadPath(name))
      if (!payload) return undefined
      const metadata = await readRuleFile(metadataPath(name))
      return { payload: payload.bytes, metadata: metadata?.bytes, madeAt: payload.madeAt }
    },

    readMetadata: async (name) => (await readRuleFile(metadataPath(name)))?.bytes,
    write: (name, texts, found) => writeTexts(name, texts, found, writer),

    async remove(name, { payload, metadata }) {
      if (!(await removeUnchanged(payloadPath(name), payload))) return false
      if (metadata) await removeUnchanged(metadataPath(name), metadata)
      return true
    },

    async withLock(name, change) {
      // The lock would make a folder that is gone.
      await stat(directory)
      return withFileLock(payloadPath(name), change)
    },
  }
}

const folderWords: RuleWords = {
  changed: 'on disk',
  changedMeanwhile: (name) =>
    `the files of rule ${name} were changed on disk meanwhile: look at the rule, then try again`,
  remedy: 'mend the file or remove it, which this request would write over',
  isByHand: true,
}

type TextWriter = Pick<FolderRuleFiles, 'writePayload' | 'writeMetadata' | 'removeMetadata'>

/**
 * Writes the files of a rule, metadata first. Should the payload have changed meanwhile, or not be
 * written, the metadata are what they were.
 */
async function writeTexts(
  name: string,
  { payload, metadata }: RuleTexts,
  found: FoundTexts,
  writer: TextWriter,
): Promise<boolean> {
  const isNew = metadata !== undefined && !isText(found.metadata, metadata)
  if (isNew && !(await writer.writeMetadata(name, metadata, found.metadata))) return false
  if (payload === undefined) return true
  let isWritten = false
  try {
    isWritten = await writer.writePayload(name, payload, found.payload)
  } finally {
    if (!isWritten && isNew) await restoreMetadata(name, metadata, found.metadata, writer)
  }
  return isWritten
}

async function restoreMetadata(
  name: string,
  written: string,
  found: Uint8Array | undefined,
  { writeMetadata, removeMetadata }: TextWriter,
): Promise<void> {
  const bytes = Buffer.from(written)
  // The first failure is the one to tell.
  if (found) await writeMetadata(name, textOf(found), bytes).catch(() => undefined)
  else await removeMetadata(name, bytes).catch(() => undefined)
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const isText = (bytes: Uint8Array | undefined, text: string) =>
  bytes !== undefined && textOf(bytes) === text

/**
 * Makes the folder and those above it, and makes its entry durable.
 *
 * @returns whether it was absent
 */
export async function makeFolder(directory: string): Promise<boolean> {
  const firstMade = await mkdir(directory, { recursive: true })
  if (firstMade === undefined) return false
  await flushEntryOf(directory)
  return true
}

async function readRuleFile(file: string): Promise<{ bytes: Buffer; madeAt: number } | undefined> {
  try {
    const read = await readPlainFile(file, fileBytesMax)
    if (!read) return undefined
    const { birthtimeMs, mtimeMs } = read.stats
    // Some file systems keep no birth time and give 0.
    return { bytes: read.bytes, madeAt: Math.floor((birthtimeMs || mtimeMs) / 1_000) }
  } catch (thrown) {
    const text = messageOf(thrown)
    throw new SluiceError('InvalidRequestException', `${path.basename(file)}: ${text}`, {
      cause: thrown,
    })
  }
}
