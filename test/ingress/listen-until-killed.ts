/** A child process: an ingress on a free port that acknowledges everything, until it is killed. */
import { systemClock } from '../../src/base/clock.ts'
import { createIngress } from '../../src/ingress/ingress.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'

const timeoutMs = Number(process.argv[2])
const print = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`)
const ingress = await createIngress(
  {
    ingest: () => Promise.resolve(),
    logger: createMemoryLogger(({ level, reason }) => level === 'warn' && print({ reason })),
    metrics: createMetrics(),
    clock: systemClock,
  },
  { connectTimeoutMs: timeoutMs, drainTimeoutMs: timeoutMs },
)
const { port } = await ingress.listen({ host: '127.0.0.1', port: 0 })
print({ port })
