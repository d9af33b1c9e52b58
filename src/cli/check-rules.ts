import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { compileActions } from '../actions/compile-actions.ts'
import { systemClock } from '../base/clock.ts'
import { labAccountId, loadConfig } from '../config/config.ts'
import { SluiceError, messageOf } from '../base/errors.ts'
import { createLabFunctions } from '../external/lab-functions.ts'
import { createRuleCompiler } from '../rules/compile-rule.ts'
import type { CompileRule, CompiledRule } from '../rules/compile-rule.ts'
import { parsePayloadText } from '../rules/payload.ts'
import { createRuleFiles, parseMetadata } from '../rules/rule-files.ts'
import type { RuleFiles } from '../rules/rule-files.ts'
import { compileStatement } from '../sql/sql.ts'
import { paint } from './host.ts'
import type { Host } from './host.ts'
import { runRuleTests } from './rule-tests.ts'
import type { RuleTestOptions, RuleTestResult } from './rule-tests.ts'

/**
 * `sluice check`: compiles every rule of a folder and runs its tests, a line each.
 *
 * @throws SluiceError RuleFileInvalid: the folder cannot be read
 */
export async function checkRules(host: Host, directory: string | undefined): Promise<void> {
  const config = loadConfig(host.environment, 'lab')
  const folder = path.resolve(directory ?? config.rulesDir)
  const compile = createRuleCompiler(
    { compileStatement, compileActions },
    {
      region: config.region,
      accountId: labAccountId,
      regex: config.regex,
      topicLimits: config.mqtt,
    },
  )
  const files = createRuleFiles(folder)
  const callExternal = createLabFunctions({ clock: systemClock }, config)
  const options = {
    environment: { accountId: labAccountId, newUuid: randomUUID, callExternal },
    topicLimits: config.mqtt,
  }
  let rules = 0
  let tests = 0
  let problems = 0
  for (const name of await namesOf(files, folder)) {
    rules += 1
    try {
      const rule = await loadRule(files, name, compile)
      host.stdout.write(line(host, true, name))
      for (const warning of rule.statement.warnings) {
        host.stdout.write(`  ${paint(host.stdout, 'yellow', 'note')}  ${indent(warning)}\n`)
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
  host.stdout.write(`${rules} rules, ${tests} tests, ${problems} problems\n`)
  if (problems > 0) host.setExitCode(1)
}

function line(host: Host, isGood: boolean, text: string): string {
  const mark = isGood ? paint(host.stdout, 'green', 'ok  ') : paint(host.stdout, 'red', 'FAIL')
  return `${mark}  ${text}\n`
}

/** The lines of a message below each other, where its first one begins. */
function indent(message: string): string {
  return message.replaceAll('\n', '\n        ')
}

async function namesOf(files: RuleFiles, folder: string): Promise<readonly string[]> {
  try {
    return await files.names()
  } catch (thrown) {
    throw new SluiceError('RuleFileInvalid', `${folder} cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}

async function loadRule(
  files: RuleFiles,
  name: string,
  compile: CompileRule,
): Promise<CompiledRule> {
  const file = await files.read(name)
  if (!file) throw new SluiceError('RuleFileInvalid', 'the file is gone')
  const { tags = {}, delivery } = file.metadata ? parseMetadata(file.metadata) : {}
  return compile({
    name,
    payload: parsePayloadText(file.payload),
    createdAt: file.madeAt,
    tags,
    ...(delivery && { delivery }),
  })
}

/** A rule without a test file has no tests. */
async function runTestFile(
  rule: CompiledRule,
  file: string,
  options: Omit<RuleTestOptions, 'nowMs'>,
): Promise<readonly RuleTestResult[]> {
  const bytes = await readFile(file).catch(() => undefined)
  if (!bytes) return []
  try {
    return await runRuleTests(rule, bytes, { ...options, nowMs: systemClock.wallMs() })
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    const message = `${path.basename(file)}: ${thrown.message}`
    throw new SluiceError(thrown.code, message, { cause: thrown })
  }
}
