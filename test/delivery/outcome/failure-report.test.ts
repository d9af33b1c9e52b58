import { expect, test } from 'vitest'
import { createFailureReport } from '../../../src/delivery/outcome/failure-report.ts'
import { createMemoryLogger, createMetrics } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { destination } from '../../outbox/outbox-parts.ts'

test('a destination that is gone leaves no series of its stream behind', async () => {
  const metrics = createMetrics()
  const logger = createMemoryLogger(() => undefined)
  const parts = { clock: createManualClock(), logger, metrics, waiting: () => 0 }
  const report = createFailureReport(parts, destination('device-7'))
  report.failed({ code: 'ResourceNotFoundException', message: 'no such stream', source: 'Kinesis' })
  report.retried(new Map([['InternalFailure', 3]]))
  expect(await metrics.registry.metrics()).toContain('stream="device-7"')
  report.gone()
  expect(await metrics.registry.metrics()).not.toContain('device-7')
})
