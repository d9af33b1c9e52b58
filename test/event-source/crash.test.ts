import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { numbered, putTexts, temporaryFolder } from '../consumers/consumer-parts.ts'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { startChild } from '../helpers/child-process.ts'

const recordCount = 1_200
/** What is in the file was handled before the handler was done; lines on the way may be lost. */
const handlerTo = (file: string) => `import { appendFileSync } from 'node:fs'
export const handler = async ({ Records }) => {
  const lines = Records.map(({ kinesis }) => Buffer.from(kinesis.data, 'base64') + '\\n').join('')
  appendFileSync(${JSON.stringify(file)}, lines)
  console.log(lines)
}`

test('killed with kill -9 and started again, a mapping leaves no record out', async () => {
  const lab = await startLab()
  lab.ensureStream('s', 2)
  const folder = temporaryFolder()
  const file = path.join(folder, 'handled')
  writeFileSync(path.join(folder, 'f.mjs'), handlerTo(file))
  await putTexts(kinesisClient(lab), 's', numbered(recordCount))
  const start = () =>
    startChild(new URL('./invoke-until-killed.ts', import.meta.url), [
      String(lab.port),
      folder,
      folder,
    ])
  for (const killedAfter of [100, 300]) {
    const child = start()
    await child.printed(killedAfter)
    await child.kill()
  }
  const last = start()
  const handled = () => new Set(readFileSync(file, 'utf8').split('\n').slice(0, -1))
  // A record that is left out is waited for in vain.
  while (handled().size < recordCount) await last.printed(last.lines.length + 1)
  await last.kill()
  expect([...handled()].toSorted((a, b) => Number(a) - Number(b))).toEqual(numbered(recordCount))
}, 120_000)
