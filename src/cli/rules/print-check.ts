import path from 'node:path'
import { paint } from '../terminal/host.ts'
import type { Host } from '../terminal/host.ts'
import { relativeName, summaryOf } from './check-report.ts'
import type { CheckReport, CheckedRule } from './check-report.ts'
import { templateNotes } from './template-rule.ts'

/** Files that are left out and named. */
const namesMax = 10

/**
 * Prints what `sluice check` found, for people.
 *
 * @param folder the only folder that was checked, whose files are named without it
 */
export function printCheck(host: Host, report: CheckReport, folder: string | undefined): void {
  const { stdout } = host
  const nameOf = (file: string) => relativeName(folder ?? path.resolve(), file)
  const hasManyPlaces = new Set(report.rules.map(placeOf)).size > 1
  for (const rule of report.rules) {
    printRule(host, rule, hasManyPlaces ? ` (${nameOf(rule.file)})` : '', nameOf)
  }
  for (const { file, reason, isProblem } of report.strayFiles) {
    const text = `${nameOf(file)}: ${reason}`
    stdout.write(isProblem ? line(host, false, text) : note(host, text))
  }
  const withNames = <Part extends { readonly file: string }>(parts: readonly Part[]) =>
    parts.map((part) => ({ ...part, file: nameOf(part.file) }))
  const { unresolved, skipped, leftOut } = report
  const notes = templateNotes({ unresolved: withNames(unresolved), skipped: withNames(skipped) })
  for (const text of notes) stdout.write(note(host, text))
  if (leftOut.length > 0) {
    const names = leftOut.slice(0, namesMax).map(nameOf).join(', ')
    const more = leftOut.length > namesMax ? ` and ${leftOut.length - namesMax} more` : ''
    stdout.write(note(host, `left out, neither rules nor templates: ${names}${more}`))
  }
  const { rules, tests, problems, rulesWithoutTests } = summaryOf(report)
  if (rulesWithoutTests.length > 0) {
    stdout.write(note(host, `rules without tests: ${rulesWithoutTests.join(', ')}`))
  }
  stdout.write(`${rules} rules, ${tests} tests, ${problems} problems\n`)
}

/** The template of a rule, or its folder. */
function placeOf({ file, resource }: CheckedRule): string {
  return resource === undefined ? path.dirname(file) : file
}

function printRule(
  host: Host,
  { name, file, resource, warnings, problem, tests }: CheckedRule,
  place: string,
  nameOf: (file: string) => string,
): void {
  const { stdout } = host
  const where = resource === undefined ? place : ` (${nameOf(file)}, ${resource})`
  if (problem === undefined) stdout.write(line(host, true, `${name}${place}`))
  else stdout.write(line(host, false, `${name}${where}: ${indent(problem)}`))
  for (const warning of warnings) stdout.write(`  ${note(host, indent(warning))}`)
  for (const test of tests) {
    stdout.write(`  ${line(host, test.problems.length === 0, test.name)}`)
    for (const text of test.problems) stdout.write(`        ${text}\n`)
  }
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
