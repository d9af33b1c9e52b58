import { expect, test } from 'vitest'
import { logConsole } from '../../src/telemetry/log-console.ts'
import { createMemoryLogger } from '../../src/telemetry/logger.ts'

test('what a package prints to the console is one line of the log', () => {
  const lines: Record<string, unknown>[] = []
  const target: Pick<Console, 'error' | 'warn'> = { error: () => {}, warn: () => {} }
  logConsole(
    createMemoryLogger((line) => lines.push(line)),
    target,
  )
  target.error(new Error('Input/output error'))
  target.warn('%s is %d', 'one', 1)
  expect(lines).toMatchObject([
    {
      level: 'warn',
      text: expect.stringMatching(/^Error: Input\/output error\n {4}at /) as string,
    },
    { level: 'warn', text: 'one is 1' },
  ])
})
