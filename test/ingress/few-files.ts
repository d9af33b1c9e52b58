import { systemClock } from '../../src/base/clock.ts'
import { createIngress } from '../../src/ingress/ingress.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'

/** An ingress as a process of its own, so that its open files can be few. Prints its port. */
const ingress = await createIngress({
  ingest: () => Promise.resolve(),
  logger: createMemoryLogger(() => {}),
  metrics: createMetrics(),
  clock: systemClock,
})
const { port } = await ingress.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`${port}\n`)
