import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError, messageOf } from '../base/errors.ts'
import type { StackOptions } from './stack.ts'
import { readYaml } from './yaml-reader.ts'

/** A plan of Terraform repeats its values several times. */
const fileBytesMax = 67_108_864
/** Modules in modules of Terraform need three levels each. */
const jsonDepthMax = 500

/**
 * Reads a file of JSON or YAML.
 *
 * @throws SluiceError TemplateInvalid (rejects): it cannot be read, is too large, or is neither
 */
export async function readTemplateFile(
  file: string,
  { onFile }: Pick<StackOptions, 'onFile'> = {},
): Promise<unknown> {
  onFile?.(file)
  const text = await readText(file)
  if (/\.(tf|tfplan)$/.test(file)) {
    throw invalid(file, 'Terraform is read from its plan: terraform show -json PLAN > plan.json')
  }
  const isJson = path.extname(file) === '.json' || /^\s*\{/.test(text)
  if (!isJson) return readYaml(text, file)
  try {
    return shallowEnough(JSON.parse(text), file)
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    // YAML in flow style begins with a brace, too.
    if (path.extname(file) !== '.json') return readYaml(text, file)
    throw invalid(file, `not valid JSON: ${messageOf(thrown)}`)
  }
}

async function readText(file: string): Promise<string> {
  try {
    const found = await stat(file)
    // Reading a pipe or a device may never end.
    if (!found.isFile()) throw invalid(file, 'is not a regular file')
    const { size } = found
    if (size > fileBytesMax) throw invalid(file, `more than ${fileBytesMax} bytes`)
    const text = new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file))
    return text
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    throw invalid(file, `cannot be read: ${messageOf(thrown)}`)
  }
}

/** What reads the values calls itself for each level. */
function shallowEnough(json: unknown, file: string): unknown {
  let level: readonly unknown[] = [json]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > jsonDepthMax) {
      throw invalid(file, `JSON that is nested deeper than ${jsonDepthMax} levels`)
    }
    level = level.flatMap((value) =>
      typeof value === 'object' && value !== null ? Object.values(value) : [],
    )
  }
  return json
}

export function invalid(file: string, reason: string): SluiceError {
  return new SluiceError('TemplateInvalid', `${file}: ${reason}`)
}
