import { randomUUID } from 'node:crypto'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { compileActions } from '../../actions/compile-actions.ts'
import { systemClock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { printableLine } from '../../telemetry/printable.ts'
import { readStack, readStacks } from '../../infrastructure/read-stack.ts'
import type {
  Origin,
  Skipped,
  Stack,
  StackOptions,
  StackRule,
  Unresolved,
} from '../../infrastructure/stack.ts'
import { createRuleCompiler } from '../../rules/compile-rule.ts'
import type { CompileRule, CompiledRule } from '../../rules/compile-rule.ts'
import { readPayloadFile } from '../../rules/payload.ts'
import { readIfPresent } from '../../storage/file-reads.ts'
import { createRuleFiles, parseMetadata } from '../../rules/rule-files.ts'
import { compileStatement } from '../../sql/sql.ts'
import type { CallExternal } from '../../sql/sql.ts'
import type { Host } from '../terminal/host.ts'
import { noRule, selectPaths } from './check-paths.ts'
import type { Selection } from './check-paths.ts'
import { reportAsAnnotations, reportAsJson, reportAsJunit, summaryOf } from './check-report.ts'
import type { CheckReport, CheckedRule, StrayFile } from './check-report.ts'
import { withLocalExternals } from './local-externals.ts'
import { printCheck } from './print-check.ts'
import { readRuleSettings } from './rule-settings.ts'
import { runRuleTests } from './rule-tests.ts'
import type { RuleTestOptions, RuleTestResult } from './rule-tests.ts'
import { compileTemplateRule } from './template-rule.ts'

export interface CheckRulesOptions {
  /** One JSON document instead of lines. */
  readonly json: boolean
  /** A file for JUnit's XML. */
  readonly junit?: string | undefined
  /** Parameters of the templates. */
  readonly parameter: ReadonlyMap<string, string>
}

/**
 * `sluice check`: compiles rules and runs their tests, a line each. What the engine would ignore
 * without a word is told as well. In GitHub Actions problems are also annotations.
 *
 * @param paths files, folders, globs and templates; none: the rules folder of the settings
 * @throws SluiceError RuleFileInvalid: a folder cannot be read; ConfigInvalid: the file for JUnit
 *   cannot be written, or too many files (rejects)
 */
export async function checkRules(
  host: Host,
  paths: readonly string[],
  { json, junit, parameter }: CheckRulesOptions,
): Promise<void> {
  const { environment, stdout, stderr } = host
  const settings = readRuleSettings(environment)
  const given = paths.length > 0 ? paths : [settings.rulesDir]
  const selection = await selectPaths(given)
  const report = await withLocalExternals(host, settings, (callExternal) =>
    checkSelection(selection, settings, parameter, callExternal),
  )
  if (json) stdout.write(reportAsJson(report))
  else printCheck(host, report, await onlyFolderOf(given))
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
      `no rule is in ${printableLine(given.join(', '))}: name a folder of rules, files, a glob such as ` +
        "'rules/**/*.json' or a stack template, or set SLUICE_RULES_DIR; a rule is a file " +
        '<name>.json\n',
    )
  }
  if (problems > 0 || rules === 0) host.setExitCode(1)
}

/** The files of the only folder that is given are named without it. */
async function onlyFolderOf([first, ...others]: readonly string[]): Promise<string | undefined> {
  if (first === undefined || others.length > 0) return undefined
  const found = await stat(first).catch(() => undefined)
  return found?.isDirectory() === true ? path.resolve(first) : undefined
}

interface Checks {
  readonly compile: CompileRule
  readonly options: Omit<RuleTestOptions, 'nowMs'>
}

async function checkSelection(
  { rules, templates, looseTests, strayFiles, leftOut }: Selection,
  settings: ReturnType<typeof readRuleSettings>,
  parameters: ReadonlyMap<string, string>,
  callExternal: CallExternal,
): Promise<CheckReport> {
  const compile = createRuleCompiler({ compileStatement, compileActions }, settings)
  const { accountId, region, topicLimits, payloadBytesMax } = settings
  const environment = { accountId, newUuid: randomUUID, callExternal }
  const checks: Checks = { compile, options: { environment, topicLimits, payloadBytesMax } }

  const checked: CheckedRule[] = []
  const strays: StrayFile[] = [...strayFiles]
  const unresolved: Unresolved[] = []
  const skipped: Skipped[] = []
  for (const { folder, name } of rules) checked.push(await checkRuleFile(folder, name, checks))
  const unusedTests = new Set(looseTests)
  for (const template of templates) {
    try {
      const stack = await readAmong(templates, template, { region, accountId, parameters })
      for (const rule of stack.rules) {
        const testFile = await testFileOf(rule, looseTests)
        if (testFile !== undefined) unusedTests.delete(testFile)
        checked.push(await checkTemplateRule(rule, testFile, checks))
      }
      unresolved.push(...stack.unresolved)
      skipped.push(...stack.skipped)
      if (stack.rules.length > 0) continue
      strays.push({ file: template, reason: 'it holds no rule of AWS IoT', isProblem: false })
    } catch (thrown) {
      if (!(thrown instanceof SluiceError)) throw thrown
      const prefix = `${template}: `
      const { message } = thrown
      const reason = message.startsWith(prefix) ? message.slice(prefix.length) : message
      strays.push({ file: template, reason, isProblem: true })
    }
  }
  for (const file of unusedTests) {
    const reason = noRule(path.basename(file, '.test.json'))
    strays.push({ file, reason, isProblem: true })
  }
  return { rules: checked, strayFiles: strays, leftOut, unresolved, skipped }
}

/**
 * Reads a template. What it does not resolve may be in another one of the same call, from which it
 * imports values; all else comes from itself alone, so that a fault of one is no fault of others.
 */
async function readAmong(
  templates: readonly string[],
  template: string,
  options: StackOptions,
): Promise<Pick<Stack, 'rules' | 'unresolved' | 'skipped'>> {
  const alone = await readStack(template, options)
  if (alone.unresolved.length === 0 || templates.length === 1) return alone
  const others = templates.filter((other) => other !== template)
  const together = await readStacks([template, ...others], options).catch(() => undefined)
  if (!together) return alone
  const rules = new Map(together.rules.map((rule) => [placeOf(rule), rule]))
  const unresolved = new Set(together.unresolved.map(placeOf))
  return {
    rules: alone.rules.map((rule) => rules.get(placeOf(rule)) ?? rule),
    unresolved: alone.unresolved.filter((part) => unresolved.has(placeOf(part))),
    skipped: alone.skipped,
  }
}

const placeOf = ({ file, resource, member = '' }: Origin & { readonly member?: string }) =>
  [file, resource, member].join('\n')

/** The tests of a rule in a template stand beside it, or among the files of the same call. */
async function testFileOf(
  { name, file }: StackRule,
  looseTests: readonly string[],
): Promise<string | undefined> {
  const testName = `${name}.test.json`
  const beside = path.resolve(path.dirname(file), testName)
  const found = await stat(beside).catch(() => undefined)
  if (found?.isFile() === true) return beside
  return looseTests.find((test) => path.basename(test) === testName)
}

async function checkTemplateRule(
  rule: StackRule,
  testFile: string | undefined,
  { compile, options }: Checks,
): Promise<CheckedRule> {
  const { compiled, problem } = compileTemplateRule(rule, compile)
  const { name, resource } = rule
  const origin = { name, file: path.resolve(rule.file), resource, testFile }
  if (!compiled) return { ...origin, warnings: [], problem, tests: [] }
  return { ...origin, ...(await testRule(compiled, testFile, options)) }
}

async function checkRuleFile(
  folder: string,
  name: string,
  { compile, options }: Checks,
): Promise<CheckedRule> {
  const testFile = path.join(folder, `${name}.test.json`)
  const origin = { name, file: path.join(folder, `${name}.json`), testFile }
  try {
    const rule = await loadRule(folder, name, compile)
    return { ...origin, ...(await testRule(rule, testFile, options)) }
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    return { ...origin, warnings: [], problem: thrown.message, tests: [] }
  }
}

/** The tests of a rule, or why they cannot be run. A rule without a test file has none. */
async function testRule(
  rule: CompiledRule,
  testFile: string | undefined,
  options: Checks['options'],
): Promise<Pick<CheckedRule, 'warnings' | 'problem' | 'tests'>> {
  try {
    const tests = testFile === undefined ? [] : await runTestFile(rule, testFile, options)
    return { warnings: rule.warnings, tests }
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    return { warnings: rule.warnings, problem: thrown.message, tests: [] }
  }
}

/** @throws SluiceError ConfigInvalid (rejects) */
async function writeJunit(file: string, report: CheckReport): Promise<void> {
  try {
    await mkdir(path.dirname(path.resolve(file)), { recursive: true })
    await writeFile(file, reportAsJunit(report, path.resolve()))
  } catch (thrown) {
    const message = `--junit ${file} cannot be written: ${messageOf(thrown)}`
    throw new SluiceError('ConfigInvalid', message, { cause: thrown })
  }
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

async function loadRule(folder: string, name: string, compile: CompileRule): Promise<CompiledRule> {
  const files = createRuleFiles(folder)
  const file = await readable(() => files.read(name), 'the file')
  if (!file) throw new SluiceError('RuleFileInvalid', 'the file is gone')
  const { tags = {}, delivery } = file.metadata ? parseMetadata(file.metadata) : {}
  return compile({
    name,
    ...readPayloadFile(file.payload),
    createdAt: file.madeAt,
    tags,
    delivery,
  })
}

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
