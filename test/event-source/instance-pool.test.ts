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

test('an invocation that waits for a place ends with its signal, and leaves the place to others', async () => {
  const directory = temporaryFolder()
  writeFileSync(
    path.join(directory, 'f.mjs'),
    `export const handler = (event) => new Promise((done) => {
      if (event.holds) console.log('HELD')
      else done('done')
    })`,
  )
  writeFileSync(path.join(directory, 'f.json'), '{"timeoutSeconds": 900}')
  let heldCount = 0
  let onHeld: (() => void) | undefined
  const logger = createMemoryLogger(({ msg }) => {
    if (String(msg) === 'HELD' && ++heldCount === 10) onHeld?.()
  })
  const functions = createFunctions(
    { clock: systemClock, logger },
    { directory, region: 'us-east-1', accountId: '000000000000' },
  )
  onTestFinished(() => functions.close())
  const found = await functions.find(parseFunctionName('f'))
  const allHeld = new Promise<void>((resolve) => {
    onHeld = resolve
  })
  const holders = Array.from({ length: 10 }, () => new AbortController())
  const held = holders.map(({ signal }) => found.invoke('{"holds":true}', signal))
  await allHeld

  const leaving = new AbortController()
  const left = found.invoke('{}', leaving.signal)
  const waiting = found.invoke('{}', new AbortController().signal)
  await new Promise((resolve) => setImmediate(resolve))
  leaving.abort()
  expect(await left).toMatchObject({ kind: 'notInvoked' })
  holders[0]?.abort()
  expect(await waiting).toMatchObject({ kind: 'returned', payload: '"done"' })
  for (const holder of holders) holder.abort()
  await Promise.all(held)
})
