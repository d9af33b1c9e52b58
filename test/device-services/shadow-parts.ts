import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { openShadowStore } from '../../src/device-services/shadows/shadow-store.ts'
import { createSharedShadows } from '../../src/device-services/shadows/shared-shadows.ts'
import { createShadows } from '../../src/device-services/shadows/shadows.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { parseReservedRequest } from '../../src/topics/reserved-request.ts'
import { createMemoryCompared } from '../cluster/state/memory-compared.ts'
import { createManualClock } from '../helpers/manual-clock.ts'

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-shadows-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** When the clock of the tests stands, in seconds: 2026-01-01. */
export const startS = 1_767_225_600

/** What nodes share, in memory. */
export function newCluster() {
  const clock = createManualClock(startS * 1_000)
  return { clock, values: createMemoryCompared(clock) }
}
type Joined = ReturnType<typeof newCluster>

/** Where shadows are: in a folder of their own, or in what nodes of a cluster share. */
export type Place = 'own' | 'shared'

/** Shadows; `ask` sends a request as a device does. */
export async function openShadows(folder?: string, place: Place = 'own', given?: Joined) {
  const { clock, values } = given ?? newCluster()
  const logged: string[] = []
  const store =
    place === 'shared'
      ? createSharedShadows(values.connect())
      : await openShadowStore({ clock }, folder ?? (await temporaryFolder()))
  let closing: Promise<void> | undefined
  const close = () => (closing ??= store.close())
  onTestFinished(close)
  const logger = createMemoryLogger((line) => logged.push(JSON.stringify(line)))
  const shadows = createShadows({ store, clock, logger })

  /** @returns the answers by the ends of their topics, when they are on disk */
  async function ask(operation: string, payload: unknown = '', shadow = 'lamp/shadow') {
    const topic = parseReservedRequest(`$aws/things/${shadow}/${operation}`)
    if (topic?.service !== 'shadow') throw new Error('not a request to a shadow')
    const { messages, durable } = await shadows.answer(topic, {
      topic: `$aws/things/${shadow}/${operation}`,
      payload: bytesOf(payload),
      qos: 1,
      retain: false,
      transport: 'mqtt',
      timestampMs: clock.wallMs(),
    })
    await durable
    const answers: Record<string, unknown> = {}
    for (const message of messages) {
      answers[message.topic.replace(`$aws/things/${shadow}/`, '')] = JSON.parse(
        message.payload.toString(),
      )
    }
    return answers
  }
  return { shadows, store, clock, logged, ask, close }
}

function bytesOf(payload: unknown): Buffer {
  if (Buffer.isBuffer(payload)) return payload
  return Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload))
}
