import { SluiceError, lineOf, withPlace } from '../base/errors.ts'
import type { CompileRule, CompiledRule, RuleDefinition } from './compile-rule.ts'
import { readPayloadFile } from './payload.ts'
import type { TopicRulePayload } from './payload.ts'
import { parseMetadata } from './rule-files.ts'
import type { RuleFile, RuleMetadata } from './rule-files.ts'

/**
 * A rule in force and the texts that it was made from, which tell a change on disk from our own.
 */
export interface RuleEntry {
  readonly rule: CompiledRule
  readonly metadata: RuleMetadata
  readonly payloadText: string
  /** Undefined when there is no such file. */
  readonly metadataText: string | undefined
  /**
   * Another one for each version that was found on disk; changes of the API keep it. Undefined for
   * a rule that the API made.
   */
  readonly foundOnDisk: symbol | undefined
}

/**
 * The entry of a rule from an API call, with the texts that the folder will hold.
 *
 * @param foundOnDisk of the entry that it replaces
 * @throws SluiceError SqlParseException, InvalidRequestException
 */
export function entryOfPayload(
  name: string,
  payload: TopicRulePayload,
  metadata: RuleMetadata & { readonly createdAt: number },
  compile: CompileRule,
  foundOnDisk?: symbol,
): RuleEntry {
  return {
    rule: compile({ name, payload, ...definitionOf(metadata, metadata.createdAt) }),
    metadata,
    payloadText: fileText(payload),
    metadataText: fileText(metadata),
    foundOnDisk,
  }
}

/**
 * The entry of a rule in the folder.
 *
 * @param createdAt epoch seconds, for a rule whose metadata have no `createdAt`
 * @throws SluiceError InvalidRequestException, SqlParseException: the message begins with the
 *   name of the file; with faults in both files it names both
 */
export function entryOfFile(
  name: string,
  file: RuleFile,
  createdAt: number,
  compile: CompileRule,
): RuleEntry {
  const compileWith = (metadata: RuleMetadata) =>
    within(`${name}.json`, () =>
      compile({
        name,
        ...readPayloadFile(file.payload),
        ...definitionOf(metadata, createdAt),
      }),
    )
  const metadata = withFaultsOf(
    () => within(`${name}.meta.json`, () => (file.metadata ? parseMetadata(file.metadata) : {})),
    () => compileWith({}),
  )
  const rule = compileWith(metadata)
  return {
    rule,
    metadata,
    payloadText: file.payload.toString(),
    metadataText: file.metadata?.toString(),
    foundOnDisk: Symbol(name),
  }
}

export function isMadeOf(entry: RuleEntry, file: RuleFile): boolean {
  return (
    entry.payloadText === file.payload.toString() &&
    entry.metadataText === file.metadata?.toString()
  )
}

/** @param createdAt for metadata without `createdAt` */
function definitionOf(
  { createdAt: known, tags, delivery }: RuleMetadata,
  createdAt: number,
): Omit<RuleDefinition, 'name' | 'payload'> {
  return {
    createdAt: known ?? createdAt,
    tags: Object.freeze({ ...tags }),
    delivery,
  }
}

/** The text of a file of the rules folder. */
export function fileText(document: object): string {
  return `${JSON.stringify(document, undefined, 2)}\n`
}

/** Reads one file. When it is not usable, the faults of the other one are told with its own. */
function withFaultsOf<Result>(read: () => Result, readOther: () => unknown): Result {
  try {
    return read()
  } catch (thrown) {
    const other = lineOfFailure(readOther)
    if (!(thrown instanceof SluiceError) || other === undefined) throw thrown
    const text = `${lineOf(thrown)}; ${other}`
    throw new SluiceError(thrown.code, text, { cause: thrown })
  }
}

function lineOfFailure(call: () => unknown): string | undefined {
  try {
    call()
    return undefined
  } catch (thrown) {
    return lineOf(thrown)
  }
}

/** Runs `read`, whose errors then begin with the name of the file. */
export function within<Result>(fileName: string, read: () => Result): Result {
  try {
    return read()
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    throw withPlace(thrown, fileName)
  }
}
