import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { compileActions } from '../../actions/compile-actions.ts'
import { systemClock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { createLabFunctions } from '../../external/lab-functions.ts'
import { createRuleCompiler } from '../../rules/compile-rule.ts'
import type { CompileRule, CompiledRule } from '../../rules/compile-rule.ts'
import { parsePayloadText } from '../../rules/payload.ts'
import { readIfPresent } from '../../storage/file-reads.ts'
import { createRuleFiles, parseMetadata, ruleNameOfFile } from '../../rules/rule-files.ts'
import type { RuleFiles } from '../../rules/rule-files.ts'
import { compileStatement } from '../../sql/sql.ts'
import { paint } from '../terminal/host.ts'
import type { Host } from '../terminal/host.ts'
import { readRuleSettings } from './rule-settings.ts'
import { runRuleTests } from './rule-tests.ts'
import type { RuleTestOptions, RuleTestResult } from './rule-tests.ts'

/**
 * `sluice check`: compiles every rule of a folder and runs its tests, a line each. What the engine
 * would ignore without a word is told as well.
 *
 * @throws SluiceError RuleFileInvalid: the folder cannot be read
 */
export async function checkRules(host: Host, directory: string | undefined): Promise<void> {
  const settings = readRuleSettings(host.environment)
  const folder = path.resolve(directory ?? settings.rulesDir)
  const compile = createRuleCompiler({ compileStatement, compileActions }, settings)
  const files = createRuleFiles(folder)
  const callExternal = createLabFunctions({ clock: systemClock }, settings)
  const options = {
    environment: { accountId: settings.accountId, newUuid: randomUUID, callExternal },
    topicLimits: settings.topicLimits,
    payloadBytesMax: settings.payloadBytesMax,
  }
  const names = await readable(() => files.names(), folder)
  let tests = 0
  let problems = 0
  for (const name of names) {
    try {
      const rule = await loadRule(files, name, compile)
      host.stdout.write(line(host, true, name))
      for (const warning of rule.warnings) {
        host.stdout.write(`  ${note(host, indent(warning))}`)
      }
      const testFile = path.join(folder, `${name}.test.json`)
      for (const result of await runTestFile(rule, testFile, options)) {
        tests += 1
        if (result.problems.length > 0) problems += 1
        host.stdout.write(`  ${line(host, result.problems.length === 0, result.name)}`)
        for (const problem of result.problems) host.stdout.write(`        ${problem}\n`)
      }
    } catch (thrown) {
      if (!(thrown instanceof SluiceError)) throw thrown
      problems += 1
      host.stdout.write(line(host, false, `${name}: ${indent(thrown.message)}`))
    }
  }
  for (const { file, reason, isProblem } of await strayFiles(folder, new Set(names))) {
    if (isProblem) problems += 1
    const text = `${file}: ${reason}`
    host.stdout.write(isProblem ? line(host, false, text) : note(host, text))
  }
  host.stdout.write(`${names.length} rules, ${tests} tests, ${problems} problems\n`)
  if (problems > 0) host.setExitCode(1)
}

interface StrayFile {
  readonly file: string
  readonly reason: string
  readonly isProblem: boolean
}

/** Files that look like part of a rule, and that the engine takes no notice of. */
async function strayFiles(
  folder: string,
  rules: ReadonlySet<string>,
): Promise<readonly StrayFile[]> {
  const files = await readable(() => readdir(folder), folder)
  return files.toSorted().flatMap((file) => {
    const { name, part } =
      /^(?<name>[^.].*?)(?:\.(?<part>test|meta))?\.json$/.exec(file)?.groups ?? {}
    if (name === undefined || rules.has(name)) return []
    if (ruleNameOfFile(`${name}.json`) === undefined) {
      const reason =
        'a rule is named by 1 to 128 letters, digits and _, so that the engine ignores this file'
      return [{ file, reason, isProblem: true }]
    }
    // Metadata alone is what a crash leaves when a rule is made or deleted.
    return [{ file, reason: `there is no rule ${name}.json`, isProblem: part !== 'meta' }]
  })
}

const note = (host: Host, text: string) => `${paint(host.stdout, 'yellow', 'note')}  ${text}\n`

function line(host: Host, isGood: boolean, text: string): string {
  const mark = isGood ? paint(host.stdout, 'green', 'ok  ') : paint(host.stdout, 'red', 'FAIL')
  return `${mark}  ${text}\n`
}

/** The lines of a message below each other, where its first one begins. */
function indent(message: string): string {
  return message.replaceAll('\n', '\n        ')
}

/** @throws SluiceError RuleFileInvalid (rejects): a fault of the file system, at `where` */
async function readable<Result>(read: () => Promise<Result>, where: string): Promise<Result> {
  try {
    return await read()
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    throw new SluiceError('RuleFileInvalid', `${where} cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}

async function loadRule(
  files: RuleFiles,
  name: string,
  compile: CompileRule,
): Promise<CompiledRule> {
  const file = await readable(() => files.read(name), 'the file')
  if (!file) throw new SluiceError('RuleFileInvalid', 'the file is gone')
  const { tags = {}, delivery } = file.metadata ? parseMetadata(file.metadata) : {}
  return compile({
    name,
    payload: parsePayloadText(file.payload),
    createdAt: file.madeAt,
    tags,
    delivery,
  })
}

/** A rule without a test file has no tests. */
async function runTestFile(
  rule: CompiledRule,
  file: string,
  options: Omit<RuleTestOptions, 'nowMs'>,
): Promise<readonly RuleTestResult[]> {
  const bytes = await readable(() => readIfPresent(file), path.basename(file))
  if (!bytes) return []
  try {
    return await runRuleTests(rule, bytes, { ...options, nowMs: systemClock.wallMs() })
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    const message = `${path.basename(file)}: ${thrown.message}`
    throw new SluiceError(thrown.code, message, { cause: thrown })
  }
}
