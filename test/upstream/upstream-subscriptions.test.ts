import { expect, test } from 'vitest'
import { upstreamConfigOf } from '../../src/config/upstream-config.ts'
import { upstreamVariables } from '../../src/config/upstream-variables.ts'
import { readVariables } from '../../src/config/variable.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { openUpstreamMemory } from '../../src/upstream/upstream-memory.ts'
import { createUpstreamSubscriptions } from '../../src/upstream/upstream-subscriptions.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { temporaryDirectory } from './upstream-fixtures.ts'

const nineFilters = Array.from({ length: 9 }, (_, index) => `f${index}/#`)

async function createSubscriptions() {
  const config = upstreamConfigOf(
    readVariables(upstreamVariables, {
      SLUICE_UPSTREAM_URL: 'mqtt://broker',
      SLUICE_UPSTREAM_FILTERS: nineFilters.join(','),
    }),
  )
  if (config === undefined) throw new Error('no broker')
  const memory = await openUpstreamMemory(await temporaryDirectory())
  const logger = createMemoryLogger(() => undefined)
  return createUpstreamSubscriptions(
    { memory, logger, clock: createManualClock() },
    { config, clientId: 'engine', broker: 'broker:1883' },
  )
}

/** @param answersMax SUBSCRIBE packets that are answered before the connection ends */
function createConnection(answersMax: number) {
  const asked: (readonly string[])[] = []
  return {
    asked,
    async subscribe(filters: readonly string[]) {
      if (asked.length === answersMax) throw new Error('the connection has ended')
      asked.push(filters)
      return filters.map(() => 1)
    },
    unsubscribe: async () => undefined,
    close: () => undefined,
    abort: () => undefined,
  }
}

const session = (isPresent: boolean) => ({ isPresent, expirySeconds: undefined })

test.for([0, 1])(
  'a new session of which %i of 2 SUBSCRIBE packets were answered is subscribed again',
  async (answersMax) => {
    const subscriptions = await createSubscriptions()
    await subscriptions.begin(createConnection(2), session(false))
    subscriptions.ended()
    // The broker has lost the session, and the connection ends while the new one is subscribed.
    const cut = createConnection(answersMax)
    await expect(subscriptions.begin(cut, session(false))).rejects.toThrow('has ended')
    subscriptions.ended()
    const third = createConnection(2)
    await subscriptions.begin(third, session(true))
    expect(third.asked.flat()).toEqual(nineFilters)
  },
)
