import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { Command } from 'commander'
import { systemClock } from '../clock.ts'
import { labAccountId, loadConfig } from '../config.ts'
import { SluiceError, messageOf } from '../errors.ts'
import type { CompileRule, CompiledRule } from '../rules/compile-rule.ts'
import { paint } from './host.ts'
import type { Host } from './host.ts'

export function checkCommand(host: Host): Command {
  return new Command('check')
    .description('check the rules of a folder and run their tests')
    .argument('[dir]', 'folder of the rules (default: SLUICE_RULES_DIR, else ./rules)')
    .addHelpText(
      'after',
      `
Every <name>.json is compiled; every test of <name>.test.json is run on the engine's own path. Nothing is sent.
Exit code 1 if a rule or a test is not good.

Example:
  sluice check rules/
`,
    )
    .action((directory: string | undefined) => check(host, directory))
}

interface Tally {
  rules: number
  tests: number
  problems: number
}

async function check(host: Host, directory: string | undefined): Promise<void> {
  const config = loadConfig(host.environment, 'lab')
  const folder = path.resolve(directory ?? config.rulesDir)
  const { createRuleFiles, openRule } = await loadRuleTools(config.region)
  const files = createRuleFiles(folder)
  const tally: Tally = { rules: 0, tests: 0, problems: 0 }
  for (const name of await namesOf(files, folder)) {
    tally.rules += 1
    try {
      const rule = await openRule(files, name)
      host.stdout.write(`${paint(host.stdout, 'green', 'ok')}    ${name}\n`)
      await runTests(host, rule, path.join(folder, `${name}.test.json`), tally)
    } catch (thrown) {
      if (!(thrown instanceof SluiceError)) throw thrown
      tally.problems += 1
      const text = thrown.message.replaceAll('\n', '\n      ')
      host.stdout.write(`${paint(host.stdout, 'red', 'FAIL')}  ${name}: ${text}\n`)
    }
  }
  const { rules, tests, problems } = tally
  host.stdout.write(`${rules} rules, ${tests} tests, ${problems} problems\n`)
  if (problems > 0) host.setExitCode(1)
}

/** Loaded when needed: `sluice --help` should not wait for the language. */
async function loadRuleTools(region: string) {
  const { compileActions } = await import('../actions/compile-actions.ts')
  const { createRuleCompiler } = await import('../rules/compile-rule.ts')
  const { createRuleFiles, parseMetadata } = await import('../rules/rule-files.ts')
  const { parsePayloadText } = await import('../rules/payload.ts')
  const { compileStatement } = await import('../sql/sql.ts')
  const compile: CompileRule = createRuleCompiler(
    { compileStatement, compileActions },
    { region, accountId: labAccountId },
  )
  return {
    createRuleFiles,
    async openRule(files: ReturnType<typeof createRuleFiles>, name: string): Promise<CompiledRule> {
      const file = await files.read(name)
      if (!file) throw new SluiceError('RuleFileInvalid', 'the file is gone')
      const tags = file.metadata ? (parseMetadata(file.metadata).tags ?? {}) : {}
      const payload = parsePayloadText(file.payload)
      return compile({ name, payload, createdAt: file.madeAt, tags })
    },
  }
}

async function namesOf(
  files: { names(): Promise<readonly string[]> },
  folder: string,
): Promise<readonly string[]> {
  try {
    return await files.names()
  } catch (thrown) {
    throw new SluiceError('RuleFileInvalid', `${folder} cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}

async function runTests(
  host: Host,
  rule: CompiledRule,
  testFile: string,
  tally: Tally,
): Promise<void> {
  const bytes = await readFile(testFile).catch(() => undefined)
  if (!bytes) return
  const { runRuleTests } = await import('./rule-tests.ts')
  const environment = { accountId: labAccountId, newUuid: randomUUID }
  for (const { name, problems } of runTestFile(testFile, () =>
    runRuleTests(rule, bytes, environment, systemClock.nowMs()),
  )) {
    tally.tests += 1
    const passes = problems.length === 0
    const mark = passes ? paint(host.stdout, 'green', 'ok') : paint(host.stdout, 'red', 'FAIL')
    host.stdout.write(`  ${mark.padEnd(mark.length + (passes ? 4 : 2))}${name}\n`)
    for (const problem of problems) host.stdout.write(`          ${problem}\n`)
    if (!passes) tally.problems += 1
  }
}

function runTestFile<Result>(testFile: string, run: () => Result): Result {
  try {
    return run()
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    throw new SluiceError(thrown.code, `${path.basename(testFile)}: ${thrown.message}`, {
      cause: thrown,
    })
  }
}
