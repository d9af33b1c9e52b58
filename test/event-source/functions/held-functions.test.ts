import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createFunctions } from '../../../src/event-source/functions/functions.ts'
import { createHeldFunctions } from '../../../src/event-source/functions/held-functions.ts'
import type { HeldFunction } from '../../../src/event-source/functions/held-functions.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

const logger = { info: () => undefined, warn: () => undefined }

async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-held-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await write(folder, files)
  return folder
}

async function write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true })
    await writeFile(path.join(folder, name), text)
  }
}

async function functionsOf(files: Readonly<Record<string, string>>, handler: string) {
  const folder = await folderOf(files)
  const clock = createManualClock()
  const held = createHeldFunctions(clock)
  const base = { name: 'f', folder, handler, environment: { STAGE: 'dev' }, timeoutSeconds: 10 }
  const hold = (more: Partial<HeldFunction> = {}) => held.replace([{ ...base, ...more }])
  hold()
  const directory = await folderOf({})
  const options = { directory, region: 'eu-west-1', accountId: '000000000000', held }
  const functions = createFunctions({ clock: systemClock, logger }, options)
  onTestFinished(() => functions.close())
  const invoke = async () => {
    const found = await functions.findLocal({ name: 'f' })
    return found.invoke('{"a":1}', new AbortController().signal)
  }
  return { folder, directory, clock, held, hold, functions, invoke }
}

const returned = (value: unknown) => ({ kind: 'returned', payload: JSON.stringify(value) })

test.each([
  ['CommonJS', 'index.handler', { 'index.js': 'exports.handler = async (e) => e.a' }, 1],
  ['a module', 'index.handler', { 'index.mjs': 'export const handler = (e) => e.a' }, 1],
  ['.cjs', 'index.handler', { 'index.cjs': 'module.exports = { handler: () => 2 }' }, 2],
  ['.js first', 'i.h', { 'i.js': 'exports.h = () => 1', 'i.mjs': 'export const h = () => 2' }, 1],
  ['a folder', 'src/lib/a.run', { 'src/lib/a.js': 'exports.run = () => 3' }, 3],
  ['a dot before it', './src/a.run', { 'src/a.mjs': 'export const run = () => 4' }, 4],
  [
    'a member of an export',
    'a.api.v1',
    { 'a.js': 'exports["api"] = { v1: () => 5 }; Object.assign(exports, {})' },
    5,
  ],
  [
    'exports that Node does not find by itself',
    'a.run',
    { 'a.js': 'module.exports = new (class { run = () => 6 })()' },
    6,
  ],
  [
    'what it imports and its environment',
    'a.run',
    {
      'a.mjs':
        'import b from "./b.mjs"; export const run = () => [b, process.env.STAGE, process.env._HANDLER, process.env.LAMBDA_TASK_ROOT.length > 1]',
      'b.mjs': 'export default 7',
    },
    [7, 'dev', 'a.run', true],
  ],
])('the handler is found: %s', async (_, handler, files, value) => {
  const { invoke } = await functionsOf(files, handler)

  expect(await invoke()).toMatchObject(returned(value))
})

test.each([
  [
    'CommonJS with what it requires',
    {
      'code/a.js': 'exports.run = () => [require("./lib/b.js"), require("c"), require("d")]',
      'code/lib/b.js': 'module.exports = 1',
      'code/node_modules/c/index.js': 'module.exports = 2',
      'code/node_modules/c/package.json': '{}',
      'node_modules/d/index.js': 'module.exports = 3',
      'node_modules/d/package.json': '{}',
    },
    [1, 2, 3],
  ],
  ['a module by its syntax', { 'code/a.js': 'export const run = () => 4' }, 4],
  [
    'what its own package.json says',
    { 'code/package.json': '{"type": "commonjs"}', 'code/a.js': 'exports.run = () => 5' },
    5,
  ],
])('a package.json above the code is not of it: %s', async (_, files, value) => {
  const project = { 'package.json': '{"type": "module"}', ...files }
  const { invoke, folder, hold } = await functionsOf(project, 'a.run')
  hold({ folder: path.join(folder, 'code') })

  expect(await invoke()).toMatchObject(returned(value))
})

test.each([
  ['index', /the handler "index" is not <file>\.<export>/],
  ['../index.handler', /is not <file>\.<export>/],
  ['', /is not <file>\.<export>/],
  [
    'src/none.handler',
    /has none of src\/none\.js, src\/none\.mjs, src\/none\.cjs: code of another/,
  ],
])('the handler %j cannot be invoked', async (handler, reason) => {
  const { invoke } = await functionsOf({ 'index.js': '', 'src/none.ts': '' }, handler)

  expect(await invoke()).toMatchObject({
    kind: 'notInvoked',
    reason: expect.stringMatching(reason),
  })
})

test('an export that is not there fails the invocation', async () => {
  const { invoke } = await functionsOf({ 'index.js': 'exports.other = 1' }, 'index.handler')

  expect(await invoke()).toMatchObject({
    kind: 'failed',
    errorType: 'Runtime.HandlerNotFound',
    errorMessage: 'f exports no function named handler',
  })
})

test('changes of the code, of what it imports and of its settings are taken', async () => {
  const files = {
    'a.mjs': 'import b from "./lib/b.mjs"; export const run = () => [b, process.env.STAGE]',
    'lib/b.mjs': 'export default 1',
    'node_modules/c/index.js': '',
  }
  const { invoke, folder, clock, hold, held, functions } = await functionsOf(files, 'a.run')

  expect(await invoke()).toMatchObject(returned([1, 'dev']))
  const { version } = await held.module('f')
  await write(folder, { 'lib/b.mjs': 'export default 22', 'node_modules/c/index.js': '1' })
  clock.advance(1_000)
  expect(await invoke()).toMatchObject(returned([22, 'dev']))
  expect((await held.module('f')).version).not.toBe(version)

  hold({ environment: { STAGE: 'prod' } })
  expect(await invoke()).toMatchObject(returned([22, 'prod']))
  await rm(folder, { recursive: true })
  clock.advance(1_000)
  expect(await invoke()).toMatchObject({ kind: 'notInvoked' })
  held.replace([])
  await expect(functions.findLocal({ name: 'f' })).rejects.toMatchObject({
    code: 'ResourceNotFoundException',
  })
})

test('the functions folder comes first, and the API describes both', async () => {
  const { invoke, directory, functions } = await functionsOf(
    { 'a.js': 'exports.run = () => 1' },
    'a.run',
  )

  expect(await functions.names()).toEqual(['f'])
  expect(await functions.describe({ name: 'f' })).toMatchObject({
    kind: 'module',
    files: { timeoutMs: 10_000, handler: 'a.run', environment: { STAGE: 'dev' } },
  })
  await write(directory, { 'f.mjs': 'export const handler = () => "own"' })
  expect(await invoke()).toMatchObject(returned('own'))
  expect(await functions.names()).toEqual(['f'])
})
