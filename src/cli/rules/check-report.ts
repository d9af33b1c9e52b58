import path from 'node:path'
import { printable } from '../../telemetry/printable.ts'
import type { Skipped, Unresolved } from '../../infrastructure/stack.ts'

/** What `sluice check` found. All files are absolute paths. */
export interface CheckReport {
  readonly rules: readonly CheckedRule[]
  /** Files that look like part of a rule, and that the engine takes no notice of. */
  readonly strayFiles: readonly StrayFile[]
  /** Files that hold neither a rule nor a template. */
  readonly leftOut: readonly string[]
  /** What has no value in a template, and resources that were left out. */
  readonly unresolved: readonly Unresolved[]
  readonly skipped: readonly Skipped[]
}

export interface CheckedRule {
  readonly name: string
  /** The file of the rule, or the template that holds it. */
  readonly file: string
  /** The logical id, or Terraform's address, of a rule in a template. */
  readonly resource?: string | undefined
  readonly testFile?: string | undefined
  readonly warnings: readonly string[]
  /** Why the rule, or its test file, cannot be used. */
  readonly problem?: string | undefined
  readonly tests: readonly { readonly name: string; readonly problems: readonly string[] }[]
}

export interface StrayFile {
  readonly file: string
  readonly reason: string
  readonly isProblem: boolean
}

/** The numbers of a report, and the rules that have no tests. */
export function summaryOf({ rules, strayFiles }: CheckReport) {
  const tests = rules.flatMap((rule) => rule.tests)
  const problems = [
    ...tests.filter((test) => test.problems.length > 0),
    ...rules.filter(({ problem }) => problem !== undefined),
    ...strayFiles.filter(({ isProblem }) => isProblem),
  ]
  const untested = rules.filter((rule) => rule.tests.length === 0 && rule.problem === undefined)
  return {
    rules: rules.length,
    tests: tests.length,
    problems: problems.length,
    rulesWithoutTests: untested.map(({ name }) => name),
  }
}

/** One JSON document for programs. */
export function reportAsJson(report: CheckReport): string {
  return `${JSON.stringify({ ...report, summary: summaryOf(report) }, null, 2)}\n`
}

/**
 * JUnit's XML, as CI servers read it: a suite for each rule, with a case for the rule itself.
 *
 * @param root the folder that the names of files are relative to
 */
export function reportAsJunit(report: CheckReport, root: string): string {
  const suites = [
    ...report.rules.map(({ name, file, problem, tests }) => {
      const cases = [
        { name: 'the rule can be used', problems: problem === undefined ? [] : [problem] },
        ...tests,
      ]
      return suiteOf(name, relativeName(root, file), cases)
    }),
    ...report.strayFiles.flatMap(({ file, reason, isProblem }) => {
      const cases = [{ name: 'the file can be used', problems: [reason] }]
      return isProblem ? [suiteOf(path.basename(file), relativeName(root, file), cases)] : []
    }),
  ]
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('')}</testsuites>\n`
}

/** The name of a file below a folder, with slashes; its whole path when it is elsewhere. */
export function relativeName(root: string, file: string): string {
  const name = path.relative(root, file)
  if (name.startsWith('..') || path.isAbsolute(name)) return file
  return name.split(path.sep).join('/')
}

function suiteOf(name: string, file: string, cases: CheckedRule['tests']): string {
  const failures = cases.filter(({ problems }) => problems.length > 0).length
  const lines = cases.map((each) => {
    const start = `    <testcase name="${xml(each.name)}" classname="${xml(name)}" file="${xml(file)}"`
    const [first = ''] = each.problems
    if (each.problems.length === 0) return `${start}/>\n`
    const text = xml(each.problems.join('\n'))
    return `${start}>\n      <failure message="${xml(first)}">${text}</failure>\n    </testcase>\n`
  })
  return (
    `  <testsuite name="${xml(name)}" tests="${cases.length}" failures="${failures}">\n` +
    `${lines.join('')}  </testsuite>\n`
  )
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
}

/** Characters that XML 1.0 does not have are replaced. */
function xml(text: string): string {
  return (
    text
      // oxlint-disable-next-line no-control-regex -- these are what XML does not have
      .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
      .replaceAll(/[&<>"\n]/g, (character) => entities[character] ?? character)
  )
}

/**
 * Workflow commands of GitHub Actions, which show problems beside the files of a pull request.
 *
 * @param root the folder of the repository, which the names of files are relative to
 */
export function reportAsAnnotations(report: CheckReport, root: string): string {
  const annotate = (level: Level, file: string, title: string, text: string) =>
    command(level, relativeName(root, file), title, text)
  const { rulesWithoutTests } = summaryOf(report)
  const lines = [
    ...report.rules.flatMap(({ name, file, testFile = file, problem, warnings, tests }) => [
      ...warnings.map((text) => annotate('warning', file, name, text)),
      ...(problem === undefined ? [] : [annotate('error', file, name, problem)]),
      ...tests.flatMap((test) => {
        if (test.problems.length === 0) return []
        return [annotate('error', testFile, `${name}: ${test.name}`, test.problems.join('\n'))]
      }),
    ]),
    ...report.strayFiles.flatMap(({ file, reason, isProblem }) =>
      isProblem ? [annotate('error', file, path.basename(file), reason)] : [],
    ),
    ...report.unresolved.map(({ file, resource, member, reason }) =>
      annotate('notice', file, [resource, member].join(' '), `not resolved: ${reason}`),
    ),
  ]
  if (rulesWithoutTests.length > 0) {
    lines.push(`::notice title=rules without tests::${escaped(rulesWithoutTests.join(', '))}\n`)
  }
  return lines.join('')
}

type Level = 'error' | 'warning' | 'notice'

function command(level: Level, file: string, title: string, text: string): string {
  return `::${level} file=${property(file)},title=${property(title)}::${escaped(text)}\n`
}

const escaped = (text: string) =>
  printable(text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A'))
const property = (text: string) => escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
