import { stat } from 'node:fs/promises'
import path from 'node:path'
import { readCdkOutput } from './cdk-output.ts'
import { createScope } from './create-scope.ts'
import { evaluate } from './evaluate.ts'
import { isRecord, memberOf, textOf } from './json-values.ts'
import { templateOf } from './load-template.ts'
import { readTemplate, serverlessTemplate } from './read-template.ts'
import type { StackParts } from './read-template.ts'
import { withUses } from './with-uses.ts'
import { createContext } from './scope.ts'
import type { Scope, StackContext } from './scope.ts'
import { serverlessToTemplate } from './serverless.ts'
import type { Origin, Skipped, Stack, StackOptions } from './stack.ts'
import { invalid, readTemplateFile } from './template-file.ts'
import { readTerraform } from './terraform.ts'

/**
 * Reads infrastructure code: a template of CloudFormation or SAM, `cdk.out`, `.serverless`,
 * `serverless.yml`, or what `terraform show -json` prints.
 *
 * @param given a file, or a folder that holds one with a usual name
 * @throws SluiceError TemplateInvalid (rejects): none of these, a circular reference, or a bound
 */
export function readStack(given: string, options: StackOptions): Promise<Stack> {
  return readStacks([given], options)
}

/** The same of several, which may import values from each other. */
export async function readStacks(given: readonly string[], options: StackOptions): Promise<Stack> {
  const context = createContext(options, evaluate)
  const parts: StackParts = { rules: [], streams: [], mappings: [], functions: [] }
  const scopes: Scope[] = []
  for (const one of given) {
    const file = await findTemplate(one, options)
    const json = await readTemplateFile(file, options)
    if (textOf(memberOf(json, 'format_version')) === undefined) {
      scopes.push(...(await scopesOf(json, file, context)))
    } else readTerraform(json, file, context, parts)
  }
  for (const scope of scopes) readTemplate(scope, parts)
  const duplicates: Skipped[] = []
  const functions = []
  for (const one of parts.functions) {
    options.onFile?.(one.folder)
    if (await isFolder(one.folder)) functions.push(one)
    else duplicates.push({ ...originOf(one), reason: `its folder ${one.folder} is not there` })
  }
  const rules = withoutDuplicates(parts.rules, duplicates)
  return {
    rules,
    streams: withoutDuplicates(parts.streams, duplicates),
    mappings: parts.mappings,
    functions: withoutDuplicates(functions, duplicates),
    unresolved: withUses([...context.unresolved.values()], rules),
    skipped: [...context.skipped, ...duplicates],
    notRead: context.notRead,
  }
}

/** The usual places in a folder, the most exact first. */
const usualFiles: readonly string[] = [
  'manifest.json',
  'cdk.out/manifest.json',
  serverlessTemplate,
  `.serverless/${serverlessTemplate}`,
  'template.yaml',
  'template.yml',
  'template.json',
  'serverless.yml',
  'serverless.yaml',
]

async function findTemplate(given: string, options: StackOptions): Promise<string> {
  options.onFile?.(given)
  if (!(await isFolder(given))) return given
  const file = await templateFileIn(given, options)
  if (file !== undefined) return file
  throw invalid(given, `the folder holds no stack template (${usualFiles.join(', ')})`)
}

/** @returns the file of a folder that has the most exact of the usual names, whatever it holds */
export async function templateFileIn(
  folder: string,
  { onFile }: Pick<StackOptions, 'onFile'> = {},
): Promise<string | undefined> {
  for (const name of usualFiles) {
    const file = path.join(folder, name)
    onFile?.(file)
    const found = await stat(file).catch(() => undefined)
    if (found?.isFile() === true) return file
  }
  return undefined
}

async function isFolder(name: string): Promise<boolean> {
  const found = await stat(name).catch(() => undefined)
  return found?.isDirectory() === true
}

async function scopesOf(
  json: unknown,
  file: string,
  context: StackContext,
): Promise<readonly Scope[]> {
  if (isRecord(memberOf(json, 'artifacts'))) return readCdkOutput(file, context)
  const isServerless = isRecord(json) && 'service' in json && 'provider' in json
  const { body, stackName } = isServerless
    ? serverlessToTemplate(json, file, context)
    : { body: json, stackName: 'stack' }
  const template = await templateOf(body, file, context.options)
  return [createScope(template, stackName, new Map(), context)]
}

const originOf = ({ file, resource }: Origin): Origin => ({ file, resource })

function withoutDuplicates<Part extends Origin & { readonly name: string }>(
  parts: readonly Part[],
  duplicates: Skipped[],
): readonly Part[] {
  const seen = new Map<string, Part>()
  for (const part of parts) {
    const first = seen.get(part.name)
    if (!first) seen.set(part.name, part)
    else {
      const reason = `${first.resource} of ${first.file} has the name ${part.name}, too`
      duplicates.push({ ...originOf(part), reason })
    }
  }
  return [...seen.values()]
}
