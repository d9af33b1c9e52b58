import path from 'node:path'
import { compileActions } from '../../actions/compile-actions.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { printable, printableLine } from '../../telemetry/printable.ts'
import { readStack } from '../../infrastructure/read-stack.ts'
import { stackNotes } from '../../infrastructure/stack-notes.ts'
import type { StackRule } from '../../infrastructure/stack.ts'
import { createRuleCompiler } from '../../rules/compile-rule.ts'
import { parseJson } from '../../rules/payload.ts'
import { createRuleFiles, makeFolder } from '../../rules/rule-files.ts'
import type { FolderRuleFiles } from '../../rules/rule-files.ts'
import { compileStatement } from '../../sql/sql.ts'
import { paint } from '../terminal/host.ts'
import type { Host } from '../terminal/host.ts'
import { readRuleSettings } from './rule-settings.ts'
import { compileTemplateRule } from './template-rule.ts'

export interface ImportOptions {
  readonly out: string
  readonly parameter: ReadonlyMap<string, string>
  readonly force: boolean
}

/** What became of a rule, and what is wrong with it. */
interface Outcome {
  readonly note?: string | undefined
  readonly problem?: string | undefined
}

/**
 * `sluice import`: compiles every rule of a template and writes those that are valid, as files
 * that `sluice lab` and `sluice check` read.
 *
 * @throws SluiceError TemplateInvalid, or RuleFileInvalid: the folder cannot be made (rejects)
 */
export async function importRules(
  host: Host,
  template: string,
  { out, parameter, force }: ImportOptions,
): Promise<void> {
  const files = createRuleFiles(path.resolve(out))
  let folder: Promise<unknown> | undefined
  const problems = await eachRule(host, template, parameter, async (rule) => {
    folder ??= makeFolder(path.resolve(out))
    try {
      await folder
      return await files.withLock(rule.name, () => writeRule(files, rule, force))
    } catch (thrown) {
      const message = `${out} cannot be written: ${messageOf(thrown)}`
      throw new SluiceError('RuleFileInvalid', message, { cause: thrown })
    }
  })
  if (problems > 0) host.setExitCode(1)
}

/** Compiles each rule, hands on those that are valid, and prints a line each. */
async function eachRule(
  host: Host,
  template: string,
  parameters: ReadonlyMap<string, string>,
  use: (rule: StackRule) => Promise<Outcome>,
): Promise<number> {
  const settings = readRuleSettings(host.environment)
  const compile = createRuleCompiler({ compileStatement, compileActions }, settings)
  const { region, accountId } = settings
  const stack = await readStack(template, { region, accountId, parameters })
  let problems = 0
  for (const rule of stack.rules) {
    const { compiled, problem } = compileTemplateRule(rule, compile)
    const outcome = compiled ? await use(rule) : { problem }
    if (outcome.problem !== undefined) {
      problems += 1
      host.stdout.write(
        `${paint(host.stdout, 'red', 'FAIL')}  ${printableLine(`${rule.name} (${rule.file}, ${rule.resource})`)}: ` +
          `${printable(outcome.problem).replaceAll('\n', '\n        ')}\n`,
      )
      continue
    }
    const note = outcome.note === undefined ? '' : `  ${outcome.note}`
    host.stdout.write(
      `${paint(host.stdout, 'green', 'ok  ')}  ${printableLine(rule.name)}${note}\n`,
    )
    for (const warning of compiled?.warnings ?? []) {
      host.stdout.write(`  ${noteLine(host, warning.replaceAll('\n', '\n        '))}`)
    }
  }
  for (const text of stackNotes(stack)) host.stdout.write(noteLine(host, printableLine(text)))
  host.stdout.write(`${stack.rules.length} rules, ${problems} problems\n`)
  if (stack.rules.length > 0) return problems
  host.stdout.write(noteLine(host, `${template} holds no rule of AWS IoT`))
  return 1
}

/** Metadata is written first: it may stand without its rule, but not the other way round. */
async function writeRule(
  files: FolderRuleFiles,
  { name, payload, tags }: StackRule,
  force: boolean,
): Promise<Outcome> {
  const text = `${JSON.stringify(payload, null, 2)}\n`
  const found = await files.read(name)
  const metadata = found?.metadata ?? (await files.readMetadata(name))
  const isSame = found?.payload.toString() === text
  if (found && !isSame && !force) {
    return { problem: 'there is another rule of this name: --force writes over it' }
  }
  if (Object.keys(tags).length > 0) {
    const before = metadata === undefined ? {} : (parseJson(metadata) as object)
    const after = `${JSON.stringify({ ...before, tags }, null, 2)}\n`
    const isKept = metadata?.toString() === after
    if (!isKept && !(await files.writeMetadata(name, after, metadata))) return changedMeanwhile
  }
  if (isSame) return { note: '(unchanged)' }
  return (await files.writePayload(name, text, found?.payload)) ? {} : changedMeanwhile
}

const changedMeanwhile: Outcome = { problem: 'its file changed meanwhile: it was left as it is' }

const noteLine = (host: Host, text: string) =>
  `${paint(host.stdout, 'yellow', 'note')}  ${printable(text)}\n`
