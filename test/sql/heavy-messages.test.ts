/** A process with a small heap survives what one message asks of one rule. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { heavyMessages } from './heavy-messages.ts'

const heapMebibytes = 256
const timeoutMs = 15_000
const script = fileURLToPath(new URL('evaluate-heavy-message.ts', import.meta.url))

async function runInSmallHeap(name: string): Promise<readonly string[]> {
  const options = [`--max-old-space-size=${heapMebibytes}`, '--import', 'tsx', script, name]
  const { stdout } = await promisify(execFile)(process.execPath, options, { timeout: timeoutMs })
  return stdout.trimEnd().split('\n')
}

test.each(Object.entries(heavyMessages))('%s', async (name, { expected }) => {
  expect(await runInSmallHeap(name)).toEqual(expected)
})
