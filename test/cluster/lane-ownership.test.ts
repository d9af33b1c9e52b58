import { expect, onTestFinished, test } from 'vitest'
import { SluiceError } from '../../src/base/errors.ts'
import { createLaneOwnership } from '../../src/cluster/lanes/lane-ownership.ts'
import { createLimitedLog } from '../../src/telemetry/limited-log.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

const refuse = (what: string) =>
  Promise.reject(new SluiceError('ClusterMisconfigured', `may not write ${what}`))

test('a node that may not write to the log says why it owns no lane and is not seen', async () => {
  const clock = createManualClock()
  const lines: Record<string, unknown>[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const ownership = createLaneOwnership(
    {
      clock,
      limitedLog: createLimitedLog({ logger, clock }),
      own: () => {
        throw new Error('no lane can be acquired')
      },
      log: {
        progress: async (lane) => ({ lane, revision: 0, data: new Uint8Array() }),
        writeProgress: () => refuse('progress'),
        watchProgress: () => undefined,
        announce: () => refuse('notices'),
        watchNodes: () => undefined,
      },
    },
    'node',
  )
  await ownership.start()
  onTestFinished(() => ownership.stop())
  await new Promise((resolve) => setImmediate(resolve))
  expect(lines.map(({ level, msg, reason }) => ({ level, msg, reason }))).toEqual([
    {
      level: 'error',
      msg: 'this node cannot tell the others that it is there',
      reason: 'may not write notices',
    },
    { level: 'error', msg: 'this node cannot take a lane', reason: 'may not write progress' },
  ])
})
