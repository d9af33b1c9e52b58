import { expect, onTestFinished, test } from 'vitest'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { systemClock } from '../../src/base/clock.ts'
import { createFunctions } from '../../src/event-source/functions/functions.ts'
import { parseFunctionName } from '../../src/event-source/functions/function-name.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { temporaryFolder } from '../consumers/consumer-parts.ts'

test('an instance that ended while it was idle does not get the next invocation', async () => {
  const directory = temporaryFolder()
  writeFileSync(
    path.join(directory, 'f.mjs'),
    `export const handler = async () => {
      setTimeout(() => { console.log('ENDS'); setTimeout(() => process.exit(7), 20) }, 1)
      return 'done'
    }`,
  )
  const waiting: { ended?: () => void } = {}
  const logger = createMemoryLogger(({ msg }) => {
    if (String(msg).startsWith('ENDS')) waiting.ended?.()
  })
  const functions = createFunctions(
    { clock: systemClock, logger },
    { directory, region: 'us-east-1', accountId: '000000000000' },
  )
  onTestFinished(() => functions.close())
  const found = await functions.find(parseFunctionName('f'))
  for (let count = 0; count < 3; count++) {
    const isEnding = new Promise<void>((resolve) => {
      waiting.ended = resolve
    })
    const outcome = await found.invoke('{}', new AbortController().signal)
    expect(outcome).toMatchObject({ kind: 'returned', payload: '"done"' })
    await isEnding
    await systemClock.sleep(150)
  }
})
