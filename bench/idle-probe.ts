/** Loaded by idle.ts into the process of the engine, which says how much memory it uses. */
import { writeHeapSnapshot } from 'node:v8'
import type { IdleAnswer, IdleRequest } from './messages.ts'

/** What is left when everything that can be collected is. */
async function memory(): Promise<IdleAnswer> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { bytes: heapUsed + external, rss }
}

process.on('message', ({ snapshot }: IdleRequest) => {
  if (snapshot !== undefined) writeHeapSnapshot(snapshot)
  void memory().then((answer) => process.send?.(answer))
})
// The engine ends as it does without this.
process.channel?.unref()
