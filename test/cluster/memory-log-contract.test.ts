/** The log in memory keeps the promises that the tests of `npm run test:cluster` ask of NATS. */
import { createManualClock } from '../helpers/manual-clock.ts'
import { moveClockUntil } from '../helpers/move-clock.ts'
import { createRandom } from '../helpers/random.ts'
import { describeLog } from './log-contract.ts'
import { createMemoryLog, noFaults } from './memory-log.ts'
import { createMemoryServers } from './memory-servers.ts'
import { createNodeClock } from './node-clock.ts'

describeLog(async () => {
  const clock = createManualClock()
  const servers = createMemoryServers()
  const random = createRandom(1)
  return {
    async node() {
      const link = { isPartitioned: false, faults: noFaults }
      const nodeClock = createNodeClock(clock)
      return createMemoryLog({
        servers,
        network: { hasLeader: true },
        link,
        clock,
        nodeClock,
        random,
      })
    },
    async settled(work) {
      await moveClockUntil(
        clock,
        work.catch(() => undefined),
      )
      return work
    },
  }
})
