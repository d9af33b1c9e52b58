import { expect, test } from 'vitest'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { startChild } from '../helpers/child-process.ts'
import { numbered, putTexts, temporaryFolder } from './consumer-parts.ts'

const countMax = 3_000
const script = new URL('./consume-until-killed.ts', import.meta.url)

test('killed with kill -9 and started again, a consumer leaves no record out', async () => {
  const lab = await startLab()
  lab.ensureStream('s', 2)
  const kinesis = kinesisClient(lab)
  const folder = temporaryFolder()
  const seen = new Set<string>()

  await putTexts(kinesis, 's', numbered(countMax / 2))
  for (const killedAfter of [200, 500]) {
    const child = startChild(script, [String(lab.port), folder])
    await child.printed(killedAfter)
    await child.kill()
    child.lines.forEach((line) => seen.add(line))
  }
  await putTexts(kinesis, 's', numbered(countMax / 2, countMax / 2))
  const last = startChild(script, [String(lab.port), folder])
  const left = () => numbered(countMax).filter((text) => !seen.has(text))
  // A record that is left out is waited for in vain.
  while (left().length > 0) {
    await last.printed(last.lines.length + 1)
    last.lines.forEach((line) => seen.add(line))
  }
  await last.kill()
  expect(last.lines.length).toBeLessThan(countMax)
})
