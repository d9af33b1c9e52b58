import { randomUUID } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
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
import { reportAsAnnotations, reportAsJson, reportAsJunit, summaryOf } from './check-report.ts'
import type { CheckReport, CheckedRule, StrayFile } from './check-report.ts'
import { readRuleSettings } from './rule-settings.ts'
import { runRuleTests } from './rule-tests.ts'
import type { RuleTestOptions, RuleTestResult } from './rule-tests.ts'

export interface CheckRulesOptions {
  /** One JSON document instead of lines. */
  readonly json: boolean
  /** A file for JUnit's XML. */
  readonly junit?: string | undefined
}

/**
 * `sluice check`: compiles every rule of a folder and runs its tests, a line each. What the engine
 * would ignore without a word is told as well. In GitHub Actions problems are also annotations.
 *
 * @throws SluiceError RuleFileInvalid: the folder cannot be read; ConfigInvalid: the file for JUnit
 *   cannot be written (rejects)
 */
export async function checkRules(
  host: Host,
  directory: string | undefined,
  { json, junit }: CheckRulesOptions,
): Promise<void> {
  const report = await checkFolder(host, directory)
  const { environment, stdout, stderr } = host
  if (json) stdout.write(reportAsJson(report))
  else printReport(host, report)
  if (junit !== undefined) await writeJunit(junit, report)
  if (environment['GITHUB_ACTIONS'] === 'true') {
    const root = environment['GITHUB_WORKSPACE'] || path.resolve()
    const annotations = reportAsAnnotations(report, root)
    // GitHub reads both outputs, and the first one may be for a program.
    if (json) stderr.write(annotations)
    else stdout.write(annotations)
  }
  const { rules, problems } = summaryOf(report)
  if (rules === 0) {
    stderr.write(
      `no rule is in ${report.folder}: name the folder of the rules, or set SLUICE_RULES_DIR; a ` +
        'rule is a file <name>.json\n',
    )
  }
  if (problems > 0 || rules === 0) host.setExitCode(1)
}

async function checkFolder(host: Host, directory: string | undefined): Promise<CheckReport> {
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
  const rules: CheckedRule[] = []
  for (const name of names) {
    let warnings: readonly string[] = []
    try {
      const rule = await loadRule(files, name, compile)
      warnings = rule.warnings
      const tests = await runTestFile(rule, path.join(folder, `${name}.test.json`), options)
      rules.push({ name, warnings, tests })
    } catch (thrown) {
      if (!(thrown instanceof SluiceError)) throw thrown
      rules.push({ name, warnings, problem: thrown.message, tests: [] })
    }
  }
  return { folder, rules, strayFiles: await strayFilesOf(folder, new Set(names)) }
}

function printReport(host: Host, report: CheckReport): void {
  const { stdout } = host
  for (const { name, problem, warnings, tests } of report.rules) {
    if (problem === undefined) stdout.write(line(host, true, name))
    else stdout.write(line(host, false, `${name}: ${indent(problem)}`))
    for (const warning of warnings) stdout.write(`  ${note(host, indent(warning))}`)
    for (const test of tests) {
      stdout.write(`  ${line(host, test.problems.length === 0, test.name)}`)
      for (const text of test.problems) stdout.write(`        ${text}\n`)
    }
  }
  for (const { file, reason, isProblem } of report.strayFiles) {
    const text = `${file}: ${reason}`
    stdout.write(isProblem ? line(host, false, text) : note(host, text))
  }
  const { rules, tests, problems, rulesWithoutTests } = summaryOf(report)
  if (rulesWithoutTests.length > 0) {
    stdout.write(note(host, `rules without tests: ${rulesWithoutTests.join(', ')}`))
  }
  stdout.write(`${rules} rules, ${tests} tests, ${problems} problems\n`)
}

/** @throws SluiceError ConfigInvalid (rejects) */
async function writeJunit(file: string, report: CheckReport): Promise<void> {
  try {
    await mkdir(path.dirname(path.resolve(file)), { recursive: true })
    await writeFile(file, reportAsJunit(report))
  } catch (thrown) {
    const message = `--junit ${file} cannot be written: ${messageOf(thrown)}`
    throw new SluiceError('ConfigInvalid', message, { cause: thrown })
  }
}

/** Files that look like part of a rule, and that the engine takes no notice of. */
async function strayFilesOf(
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
