import { errors } from '@nats-io/transport-node'
import { Registry } from 'prom-client'
import { expect, test } from 'vitest'
import { createLogRequests } from '../../src/cluster/log/log-requests.ts'
import type { Nats } from '../../src/cluster/nats/open-nats.ts'
import { createClusterMetrics } from '../../src/telemetry/cluster-metrics.ts'
import { createLimitedLog } from '../../src/telemetry/limited-log.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

test('requests without an answer are counted, and faults are not', async () => {
  const clock = createManualClock()
  const logger = createMemoryLogger(() => undefined)
  const registry = new Registry()
  const metrics = createClusterMetrics(registry)
  const answers = [new errors.TimeoutError(), new errors.TimeoutError(), null]
  const streams = {
    async getMessage() {
      const answer = answers.shift()
      if (answer instanceof Error) throw answer
      return answer
    },
  }
  const requests = createLogRequests(
    { clock, logger, limitedLog: createLimitedLog({ logger, clock }), metrics },
    { manager: { streams } } as unknown as Nats,
    { stream: 'S', closing: new AbortController().signal },
  )
  const state = { isAnswered: false }
  const asked = requests.lastOf('a').finally(() => (state.isAnswered = true))
  while (!state.isAnswered) {
    await new Promise((resolve) => setImmediate(resolve))
    clock.advance(100)
  }
  expect(await asked).toBeNull()
  requests.waiting('no answer to a batch')
  answers.push(new errors.PermissionViolationError('denied', 'publish', 'a'))
  await expect(requests.lastOf('a')).rejects.toThrow('allow publish of a')
  expect(await registry.metrics()).toContain('sluice_log_retries_total 3\n')
})
