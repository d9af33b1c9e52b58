import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { putTexts, temporaryFolder } from './consumer-parts.ts'

test('the example of docs/CONSUMERS.md runs as it stands', async () => {
  const lab = await startLab()
  lab.ensureStream('hot-devices', 1)
  await putTexts(kinesisClient(lab), 'hot-devices', ['{"temp":61.5}'], () => '7')
  const text = readFileSync(new URL('../../docs/CONSUMERS.md', import.meta.url), 'utf8')
  const [, example = ''] = /```js\n(import \{ consume[^`]*)```/.exec(text) ?? []
  const folder = temporaryFolder()
  const entry = pathToFileURL(path.resolve(import.meta.dirname, '../../src/index.ts')).href
  mkdirSync(folder, { recursive: true })
  writeFileSync(
    path.join(folder, 'example.mjs'),
    example.replace(`'sluice-iot'`, `'${entry}'`).replace(':4567', `:${lab.port}`),
  )
  const tsx = import.meta.resolve('tsx')
  const child = spawn(process.execPath, ['--import', tsx, 'example.mjs'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(createInterface(child.stdout), 'line')) as string[]
  expect(line).toBe(`shardId-000000000000 7 { temp: 61.5 }`)
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})
