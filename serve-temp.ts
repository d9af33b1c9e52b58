import { createIngress } from './src/ingress/ingress.ts'
import { systemClock } from './src/base/clock.ts'
import { createMemoryLogger, createMetrics } from './src/telemetry/telemetry.ts'
const profile = process.argv[2] as 'aws' | 'open'
const ingress = await createIngress(
  { ingest: () => Promise.resolve(), logger: createMemoryLogger((l: any) => console.error(JSON.stringify(l))), metrics: createMetrics(), clock: systemClock },
  { profile, topicSlashesMax: 100 },
)
console.log((await ingress.listen({ host: '127.0.0.1', port: Number(process.argv[3] ?? 0) })).port)
