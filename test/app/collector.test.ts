import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { collectorFlags } from '../../src/app/collector.ts'

const run = promisify(execFile)

test.each(collectorFlags)('the V8 of this Node knows %s', async (flag) => {
  const { stdout } = await run(process.execPath, ['--v8-options'], { maxBuffer: 2 ** 24 })
  const name = flag.replace(/^--(no-)?/, '').replace(/=.*/, '')
  expect(stdout).toMatch(new RegExp(`^  --${name} `, 'm'))
  // An unknown one is a line on stderr, and no error.
  const set = `process.getBuiltinModule('v8').setFlagsFromString(${JSON.stringify(flag)})`
  expect(await run(process.execPath, ['-e', set])).toEqual({ stdout: '', stderr: '' })
})
