import path from 'node:path'
import { printable, printableLine } from '../../telemetry/printable.ts'
import { stackNotes } from '../../infrastructure/stack-notes.ts'
import { paint } from '../terminal/host.ts'
import type { Host } from '../terminal/host.ts'
import { relativeName, summaryOf } from './check-report.ts'
import type { CheckReport, CheckedRule } from './check-report.ts'

/** Files that are left out and named. */
const namesMax = 10

/**
 * Prints what `sluice check` found, for people.
 *
 * @param folder the only folder that was checked, whose files are named without it
 */
export function printCheck(host: Host, report: CheckReport, folder: string | undefined): void {
  const { stdout } = host
  const nameOf = (file: string) => printableLine(relativeName(folder ?? path.resolve(), file))
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
  const notes = stackNotes({ unresolved: withNames(unresolved), skipped: withNames(skipped) })
  for (const text of notes) stdout.write(note(host, printableLine(text)))
  if (leftOut.length > 0) {
    const names = leftOut.slice(0, namesMax).map(nameOf).join(', ')
    const more = leftOut.length > namesMax ? ` and ${leftOut.length - namesMax} more` : ''
    stdout.write(note(host, `left out, neither rules nor templates: ${names}${more}`))
  }
  const { rules, tests, problems, rulesWithoutTests } = summaryOf(report)
  if (rulesWithoutTests.length > 0) {
    stdout.write(note(host, `rules without tests: ${rulesWithoutTests.join(', ')}`))
  }
  const counts = [counted(rules, 'rule'), counted(tests, 'test'), counted(problems, 'problem')]
  stdout.write(`${counts.join(', ')}\n`)
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
  if (problem === undefined) stdout.write(line(host, true, `${printableLine(name)}${place}`))
  else stdout.write(line(host, false, `${printableLine(name + where)}: ${indent(problem)}`))
  for (const warning of warnings) stdout.write(`  ${note(host, indent(warning))}`)
  for (const test of tests) {
    stdout.write(`  ${line(host, test.problems.length === 0, test.name)}`)
    for (const text of test.problems) stdout.write(`        ${printable(text)}\n`)
  }
}

const note = (host: Host, text: string) =>
  `${paint(host.stdout, 'yellow', 'note')}  ${printable(text)}\n`

function line(host: Host, isGood: boolean, text: string): string {
  const mark = isGood ? paint(host.stdout, 'green', 'ok  ') : paint(host.stdout, 'red', 'FAIL')
  return `${mark}  ${printable(text)}\n`
}

/** The lines of a message below each other, where its first one begins. */
function indent(message: string): string {
  return message.replaceAll('\n', '\n        ')
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`
