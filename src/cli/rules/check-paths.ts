import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { glob, isDynamicPattern } from 'tinyglobby'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { isRecord, memberOf, textOf } from '../../infrastructure/json-values.ts'
import { templateFileIn } from '../../infrastructure/read-stack.ts'
import { readTemplateFile } from '../../infrastructure/template-file.ts'
import { ruleNameOfFile } from '../../rules/rule-files.ts'
import type { StrayFile } from './check-report.ts'

/** What `sluice check` has to look at. All paths are absolute, and none stands there twice. */
export interface Selection {
  readonly rules: readonly { readonly folder: string; readonly name: string }[]
  /** Stack templates. */
  readonly templates: readonly string[]
  /** Test files beside which there is no rule file: the rule may be in a template. */
  readonly looseTests: readonly string[]
  /** What cannot be used, or is ignored by the engine. */
  readonly strayFiles: readonly StrayFile[]
  /** Files that hold neither a rule nor a template. */
  readonly leftOut: readonly string[]
}

/** Files of one call. */
const filesMax = 20_000

interface Sorting {
  readonly rules: Map<string, Selection['rules'][number]>
  readonly templates: Set<string>
  readonly looseTests: Set<string>
  readonly strayFiles: Map<string, StrayFile>
  readonly leftOut: Set<string>
}

/**
 * Finds the rules, templates and tests that paths name. A folder is that of a template when it
 * holds one with a usual name, and a rules folder otherwise. Globs that no shell has expanded are
 * expanded here.
 *
 * @param paths files, folders and globs
 * @throws SluiceError RuleFileInvalid: a folder cannot be read; ConfigInvalid: too many files
 *   (rejects)
 */
export async function selectPaths(paths: readonly string[]): Promise<Selection> {
  const sorting: Sorting = {
    rules: new Map(),
    templates: new Set(),
    looseTests: new Set(),
    strayFiles: new Map(),
    leftOut: new Set(),
  }
  const files = new Set<string>()
  for (const given of paths) {
    for (const found of await expand(given, sorting)) {
      if (!(await isFolder(found))) files.add(found)
      else for (const file of await filesOfFolder(found, sorting)) files.add(file)
      checkCount(files.size)
    }
  }
  for (const file of files) await sortFile(file, sorting)
  const { rules, templates, looseTests, strayFiles, leftOut } = sorting
  return {
    rules: [...rules.values()],
    templates: withoutPartsOfCdk(templates),
    looseTests: [...looseTests],
    strayFiles: [...strayFiles.values()],
    leftOut: [...leftOut],
  }
}

/** What a path names: itself, or what a glob matches. Folders count where no file matches. */
async function expand(given: string, { strayFiles }: Sorting): Promise<readonly string[]> {
  const file = path.resolve(given)
  // The name of a file may hold brackets.
  if (await isThere(file)) return [file]
  if (!isDynamicPattern(given)) {
    strayFiles.set(file, { file, reason: 'there is no such file or folder', isProblem: true })
    return []
  }
  const [base, pattern] = splitGlob(given)
  const options = {
    cwd: base,
    absolute: true,
    expandDirectories: false,
    ignore: ['**/node_modules/**'],
  }
  const found = await glob(pattern, { ...options, onlyFiles: true })
  checkCount(found.length)
  const folders = found.length > 0 ? [] : await glob(pattern, { ...options, onlyDirectories: true })
  const all = [...found, ...folders].map((name) => path.resolve(name)).toSorted()
  if (all.length === 0) {
    strayFiles.set(file, { file, reason: 'the glob matches no file', isProblem: true })
  }
  return all
}

/** The folder that a glob begins in, and the rest, which is matched below it. */
function splitGlob(given: string): readonly [string, string] {
  const parts = given.split('/')
  const first = Math.max(
    0,
    parts.findIndex((part) => /[*?{}()[\]!+@]/.test(part)),
  )
  const base = first === 0 ? '' : `${parts.slice(0, first).join('/')}/`
  return [path.resolve(base), parts.slice(first).join('/')]
}

/** What cannot be looked at counts as there: reading it says why. */
async function isThere(file: string): Promise<boolean> {
  const absent = ['ENOENT', 'ENOTDIR']
  return stat(file).then(
    () => true,
    (thrown: NodeJS.ErrnoException) => !absent.includes(thrown.code ?? ''),
  )
}

function checkCount(count: number): void {
  if (count <= filesMax) return
  const message = `more than ${filesMax} files: name fewer, e.g. with a glob 'rules/**/*.json'`
  throw new SluiceError('ConfigInvalid', message)
}

async function isFolder(name: string): Promise<boolean> {
  const found = await stat(name).catch(() => undefined)
  return found?.isDirectory() === true
}

/**
 * The files of a folder that are looked at one by one. Those of a rules folder are sorted at once,
 * because every file there counts for the engine, whatever it holds.
 */
async function filesOfFolder(folder: string, sorting: Sorting): Promise<readonly string[]> {
  const names = (await readFolder(folder)).toSorted()
  const template = await templateFileIn(folder)
  if (template !== undefined && (await isTemplate(template))) {
    const inFolder = names.filter((name) => path.extname(name) === '.json')
    return [template, ...inFolder.map((name) => path.join(folder, name))]
  }
  const rules = new Set(
    names.filter((name) => !name.endsWith('.meta.json')).map((name) => ruleNameOfFile(name)),
  )
  for (const file of names) {
    const { name, part } = partsOf(file)
    if (name !== undefined) sortRuleFile({ folder, file, name, part }, rules.has(name), sorting)
  }
  return []
}

async function readFolder(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (thrown) {
    throw new SluiceError('RuleFileInvalid', `${folder} cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}

/** The nested stacks and the stages beside a manifest of CDK are parts of what it names. */
function withoutPartsOfCdk(templates: ReadonlySet<string>): readonly string[] {
  const outputs = [...templates]
    .filter((file) => path.basename(file) === 'manifest.json')
    .map((file) => `${path.dirname(file)}${path.sep}`)
  return [...templates].filter((file) =>
    outputs.every((folder) => !file.startsWith(folder) || file === `${folder}manifest.json`),
  )
}

/** `dt.test.json` -> the name `dt` and the part `test`; no name where it is not JSON. */
function partsOf(file: string): { readonly name?: string; readonly part?: string } {
  return /^(?<name>[^.].*?)(?:\.(?<part>test|meta))?\.json$/.exec(file)?.groups ?? {}
}

interface RuleFilePart {
  readonly folder: string
  readonly file: string
  readonly name: string
  readonly part: string | undefined
}

/** @param hasRule whether the payload of the rule is beside it */
function sortRuleFile(
  { folder, file, name, part }: RuleFilePart,
  hasRule: boolean,
  { rules, looseTests, strayFiles }: Sorting,
): void {
  const full = path.join(folder, file)
  if (hasRule) {
    rules.set(path.join(folder, name), { folder, name })
  } else if (ruleNameOfFile(`${name}.json`) === undefined) {
    const reason =
      'a rule is named by 1 to 128 letters, digits and _, so that the engine ignores this file'
    strayFiles.set(full, { file: full, reason, isProblem: true })
  } else if (part === 'test') {
    looseTests.add(full)
  } else {
    // Metadata alone is what a crash leaves when a rule is made or deleted.
    const reason = noRule(name)
    strayFiles.set(full, { file: full, reason, isProblem: part !== 'meta' })
  }
}

/** Why a test file or metadata of a rule that is not there has no effect. */
export function noRule(name: string): string {
  return `there is no rule ${name}.json`
}

/** A file that was named, or matched by a glob, tells by what it holds what it is. */
async function sortFile(full: string, sorting: Sorting): Promise<void> {
  const folder = path.dirname(full)
  const file = path.basename(full)
  const { name, part } = partsOf(file)
  if (name !== undefined && part !== undefined) {
    const beside = await stat(path.join(folder, `${name}.json`)).catch(() => undefined)
    sortRuleFile({ folder, file, name, part }, beside?.isFile() === true, sorting)
    return
  }
  if (!/\.(?:json|ya?ml|template|tf|tfplan)$/.test(file)) {
    sorting.leftOut.add(full)
    return
  }
  let content: unknown
  try {
    content = await readTemplateFile(full)
  } catch {
    // What compiles it says why it cannot be read.
    const isRule = ruleNameOfFile(file) !== undefined
    if (isRule && name !== undefined) sorting.rules.set(path.join(folder, name), { folder, name })
    else sorting.templates.add(full)
    return
  }
  if (name !== undefined && holdsRule(content)) {
    sortRuleFile({ folder, file, name, part }, ruleNameOfFile(file) !== undefined, sorting)
  } else if (holdsTemplate(content)) sorting.templates.add(full)
  else sorting.leftOut.add(full)
}

/** YAML is no rule, so that a template that cannot be read is named as one. */
async function isTemplate(file: string): Promise<boolean> {
  return readTemplateFile(file).then(holdsTemplate, () => path.extname(file) !== '.json')
}

/** What `readStack` takes. */
function holdsTemplate(json: unknown): boolean {
  return (
    isRecord(memberOf(json, 'Resources')) ||
    isRecord(memberOf(json, 'artifacts')) ||
    textOf(memberOf(json, 'format_version')) !== undefined ||
    (memberOf(json, 'service') !== undefined && memberOf(json, 'provider') !== undefined)
  )
}

const membersOfRules = ['sql', 'actions', 'topicRulePayload', 'awsIotSqlVersion', 'errorAction']

function holdsRule(json: unknown): boolean {
  return membersOfRules.some((name) => memberOf(json, name) !== undefined)
}
