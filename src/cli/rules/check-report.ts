import path from 'node:path'

/** What `sluice check` found in a folder. */
export interface CheckReport {
  /** Absolute. */
  readonly folder: string
  readonly rules: readonly CheckedRule[]
  /** Files that look like part of a rule, and that the engine takes no notice of. */
  readonly strayFiles: readonly StrayFile[]
}

export interface CheckedRule {
  readonly name: string
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

/** JUnit's XML, as CI servers read it: a suite for each rule, with a case for the rule itself. */
export function reportAsJunit(report: CheckReport): string {
  const suites = [
    ...report.rules.map(({ name, problem, tests }) => {
      const cases = [
        { name: 'the rule can be used', problems: problem === undefined ? [] : [problem] },
        ...tests,
      ]
      return suiteOf(name, path.join(report.folder, `${name}.json`), cases)
    }),
    ...report.strayFiles.flatMap(({ file, reason, isProblem }) => {
      const cases = [{ name: 'the file belongs to a rule', problems: [reason] }]
      return isProblem ? [suiteOf(file, path.join(report.folder, file), cases)] : []
    }),
  ]
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join('')}</testsuites>\n`
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
  const fileOf = (name: string) => path.relative(root, path.join(report.folder, name))
  const lines = [
    ...report.rules.flatMap(({ name, problem, warnings, tests }) => [
      ...warnings.map((text) => command('warning', fileOf(`${name}.json`), name, text)),
      ...(problem === undefined ? [] : [command('error', fileOf(`${name}.json`), name, problem)]),
      ...tests.flatMap((test) => {
        if (test.problems.length === 0) return []
        const title = `${name}: ${test.name}`
        return [command('error', fileOf(`${name}.test.json`), title, test.problems.join('\n'))]
      }),
    ]),
    ...report.strayFiles.flatMap(({ file, reason, isProblem }) =>
      isProblem ? [command('error', fileOf(file), file, reason)] : [],
    ),
  ]
  return lines.join('')
}

function command(level: 'error' | 'warning', file: string, title: string, text: string): string {
  return `::${level} file=${property(file)},title=${property(title)}::${escaped(text)}\n`
}

const escaped = (text: string) =>
  text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
const property = (text: string) => escaped(text).replaceAll(':', '%3A').replaceAll(',', '%2C')
