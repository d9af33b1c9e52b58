// `npm test`: type check, lint, format check and the house at the same time, then the tests. Each
// step's output is shown; the last line is `N passed, N failed` (and `, N skipped` when some were).
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')
const reportFolder = mkdtempSync(path.join(os.tmpdir(), 'sluice-test-'))
const reportFile = path.join(reportFolder, 'report.json')
const bin = (name) => path.join(root, 'node_modules/.bin', name)

/** @type {readonly (readonly [string, string, readonly string[]])[]} */
const checks = [
  ['Types', bin('tsc'), ['-p', 'tsconfig.json']],
  ['Types of the console', bin('tsc'), ['-p', 'console/tsconfig.json']],
  ['Lint', bin('oxlint'), ['--type-aware', '--deny-warnings']],
  ['Format', bin('prettier'), ['--check', '--log-level=warn', '.']],
  ['House', bin('tsx'), ['scripts/check-house.ts']],
  ['Sample rules', process.execPath, ['bin/sluice.js', 'check', 'rules']],
]
// The format check keeps one processor busy for most of the time that all of them take.
const passedChecks = await Promise.all(checks.map((check) => passesCheck(...check)))
const failedChecks = checks.filter((_, index) => !passedChecks[index])

const coverage = process.argv.includes('--coverage') ? ['--coverage'] : []
const testsPass = passes('Tests', bin('vitest'), [
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${reportFile}`,
  ...coverage,
])

const { passed, failed, skipped } = countTests()
const failures = failed + failedChecks.length
for (const [title] of failedChecks) console.log(`${title}: failed`)
console.log(`${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
process.exitCode = testsPass && failures === 0 && passed > 0 ? 0 : 1

/** Shows the output of a check in one piece when it has ended. */
async function passesCheck(title, command, args) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  const output = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => output.push(chunk))
  }
  const status = await new Promise((resolve) => {
    child.on('close', resolve)
    child.on('error', (error) => {
      output.push(Buffer.from(`${command}: ${error.message}\n`))
      resolve(undefined)
    })
  })
  console.log(`\n== ${title}`)
  process.stdout.write(Buffer.concat(output))
  return status === 0
}

function passes(title, command, args) {
  console.log(`\n== ${title}`)
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (error) console.error(`${command}: ${error.message}`)
  return status === 0
}

function countTests() {
  try {
    const report = JSON.parse(readFileSync(reportFile, 'utf8'))
    return {
      passed: report.numPassedTests,
      // A file that cannot be loaded has no tests to count, and is a failure all the same.
      failed: report.numFailedTests + report.testResults.filter(isBrokenFile).length,
      skipped: report.numPendingTests + report.numTodoTests,
    }
  } catch (error) {
    console.error(`No test report: ${error.message}`)
    return { passed: 0, failed: 1, skipped: 0 }
  } finally {
    rmSync(reportFolder, { recursive: true, force: true })
  }
}

function isBrokenFile({ status, assertionResults }) {
  return status === 'failed' && assertionResults.every((result) => result.status !== 'failed')
}
