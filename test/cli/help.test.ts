import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { helpWidthOf, wrap } from '../../src/cli/terminal/help.ts'
import type { Host } from '../../src/cli/terminal/host.ts'
import { createProgram } from '../../src/cli/program.ts'
import { createTestHost } from '../helpers/test-host.ts'

function hostOf(columns: number | undefined): Host {
  const host = createTestHost()
  const write = (text: string | Uint8Array) => host.stdout.write(text)
  const stdout = columns === undefined ? { write } : { isTTY: true, columns, write }
  return { ...host, stdout }
}

/** All commands, with those below them. */
function commandsOf(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(commandsOf)]
}

function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({ writeOut: (written) => void (text += written) })
  command.outputHelp()
  return text
}

const names = commandsOf(createProgram(createTestHost())).map((command) =>
  [command.parent?.name(), command.name()].filter((name) => name !== undefined).join(' '),
)

describe.each([
  ['no terminal', undefined, 80],
  ['80 columns', 80, 80],
  ['100 columns', 100, 100],
  ['200 columns', 200, 100],
])('help on %s', (_name, columns, width) => {
  const host = hostOf(columns)
  test.each(names.map((name, index) => [name, index] as const))('%s', (_command, index) => {
    const command = commandsOf(createProgram(host))[index]
    const text = command ? helpOf(command) : ''
    // Command lines are printed as they are typed.
    const [before = '', behind = ''] = text.split(/^Examples?:$/m)
    const [examples = '', ...rest] = behind.split('\n\n')
    const prose = [before, ...rest].join('\n').split('\n')
    expect(prose.filter((line) => line.length > width)).toEqual([])
    expect(examples.split('\n').filter((line) => line.length > 80)).toEqual([])
    expect(text).not.toMatch(/default: (null|undefined|false|\[|\{|"|\))/)
  })
})

test.each([
  [undefined, 80],
  [20, 40],
  [80, 80],
  [300, 100],
])('a terminal of %s columns has help of %i', (columns, width) => {
  expect(helpWidthOf(hostOf(columns))).toBe(width)
})

test('wrap breaks at blanks alone', () => {
  expect(wrap('aa bb cccccccccc d', 5)).toBe('aa bb\ncccccccccc\nd')
  expect(wrap('aa bb cc', 7, '  ')).toBe('  aa bb\n  cc')
})

test.each<[Record<string, string>, RegExp]>([
  [{ SLUICE_MQTT_PROT: '1' }, /^SLUICE_MQTT_PROT is set, .*: is it SLUICE_MQTT_PORT\?\n$/],
  [{ SLUICE_ANYTHING: '1' }, /^SLUICE_ANYTHING is set, .*docs\/CONFIG\.md/],
  [{ SLUICE_MQTT_PROT: '', SLUICE_MQTT_PORT: '1', OTHER: '1' }, /^$/],
])('variables %j are warned of', async (environment, warning) => {
  const host = createTestHost(environment)
  await createProgram(host).parseAsync(
    ['evaluate', '--sql', "SELECT * FROM 'a'", '--topic', 'a', '--payload', '{}'],
    { from: 'user' },
  )
  expect(host.written.stderr).toMatch(warning)
})
