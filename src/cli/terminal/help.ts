import type { Command, Option } from 'commander'
import { variables } from '../../config/config.ts'
import type { Config } from '../../config/config.ts'
import type { Variable } from '../../config/variable.ts'
import type { VariableName } from '../../config/variables.ts'
import type { Host } from './host.ts'

/** Where no terminal says how wide it is, as commander has it. */
const widthDefault = 80
/** Longer lines are hard to read, however wide the terminal is. */
const widthMax = 100
const widthMin = 40

export function helpWidthOf({ stdout }: Host): number {
  const { isTTY, columns = widthDefault } = stdout
  return isTTY ? Math.max(widthMin, Math.min(columns, widthMax)) : widthDefault
}

/** All commands write to the host, in its width, and describe their options in one way. */
export function configureHelp(program: Command, host: Host): void {
  program
    .showHelpAfterError('(add --help for more)')
    .configureHelp({ optionDescription: describeOption })
    .configureOutput({
      writeOut: (text) => void host.stdout.write(text),
      writeErr: (text) => void host.stderr.write(text),
      getOutHelpWidth: () => helpWidthOf(host),
      getErrHelpWidth: () => helpWidthOf(host),
    })
  inheritSettings(program)
}

function inheritSettings(parent: Command): void {
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent)
    inheritSettings(command)
  }
}

function describeOption({
  description,
  argChoices,
  defaultValue,
  defaultValueDescription,
}: Option): string {
  const fallback = defaultValueDescription ?? shownDefault(defaultValue)
  const notes = [
    ...(argChoices ? [argChoices.join(', ')] : []),
    ...(fallback === '' ? [] : [`default: ${fallback}`]),
  ]
  return notes.length === 0 ? description : `${description} (${notes.join('; ')})`
}

/** Empty for what an option does not need to say: that it is off, or that there are none. */
function shownDefault(value: unknown): string {
  if (Array.isArray(value)) return value.join(', ')
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

interface MoreHelp {
  /** Paragraphs. */
  readonly notes: readonly string[]
  /** Command lines, printed as they are. */
  readonly examples: readonly string[]
  /** Paragraphs behind the examples: lists of variables for example. */
  readonly variables?: ((width: number) => string) | undefined
}

/** The part of a command's help that follows its options. */
export function addMoreHelp(command: Command, host: Host, more: MoreHelp): Command {
  return command.addHelpText('after', () => {
    const width = helpWidthOf(host)
    const title = more.examples.length > 1 ? 'Examples' : 'Example'
    const parts = [
      ...more.notes.map((note) => wrap(note, width)),
      [`${title}:`, ...more.examples.map((line) => `  ${line}`)].join('\n'),
      ...(more.variables ? [more.variables(width)] : []),
    ]
    return `\n${parts.join('\n\n')}\n`
  })
}

/** Breaks a text at its blanks; a word that is longer than a line keeps a line of its own. */
export function wrap(text: string, width: number, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    const longer = line === '' ? indent + word : `${line} ${word}`
    if (line !== '' && longer.length > width) {
      lines.push(line)
      line = indent + word
    } else {
      line = longer
    }
  }
  return [...lines, line].join('\n')
}

/** The environment variables of `lab` or `start`, each with what it means and its default. */
export function variablesOfMode(mode: Config['mode']): (width: number) => string {
  const names = Object.keys(variables).filter(
    (name) => mode === 'lab' || !/^SLUICE_(LAB_|SAMPLE_|PROTO_)/.test(name),
  )
  return (width) => describeVariables(names as VariableName[], width)
}

function describeVariables(names: readonly VariableName[], width: number): string {
  const texts = names.map((name) => {
    const { description, default: value, whenUnset }: Variable = variables[name]
    const otherwise = value ?? whenUnset
    const fallback = otherwise === undefined ? '' : ` Default: ${otherwise}.`
    const text = `${description}${fallback}`.replaceAll('`', '')
    return `  ${name}\n${wrap(text, width, '      ')}`
  })
  return ['Environment variables:', ...texts].join('\n')
}
