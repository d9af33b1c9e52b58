import type { IPublishPacket } from 'mqtt-packet'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { startIngress, until } from '../helpers.ts'
import type { TestIngress } from '../helpers.ts'
import type { Worker, WorkerOptions } from './worker.ts'

export const versions = [4, 5] as const
type Version = (typeof versions)[number]

export const start = (options: Parameters<typeof startIngress>[1] = {}) =>
  startIngress(undefined, options, undefined, createManualClock())

/** Publishes one after the other. */
export async function publish(
  { ingress }: TestIngress,
  payloads: readonly string[],
  options: Partial<Parameters<TestIngress['ingress']['publish']>[0]> = {},
): Promise<void> {
  for (const payload of payloads) {
    await ingress.publish({
      topic: 'jobs/1',
      payload: Buffer.from(payload),
      qos: 1,
      retain: false,
      transport: 'http',
      timestampMs: 0,
      ...options,
    })
  }
}

export const keeps = (version: Version): WorkerOptions =>
  version === 4
    ? { version, clean: false }
    : { version, clean: false, properties: { sessionExpiryInterval: 600 } }

export const connected = ({ metric }: TestIngress, count: number) =>
  until(async () => (await metric('mqttConnections')) === count)

export const numbers = (count: number) => Array.from({ length: count }, (_, at) => `${at}`)
export const all = (...workers: readonly Worker[]) => workers.flatMap((worker) => worker.payloads())
export const first = ({ received: [packet] }: Worker): IPublishPacket => {
  if (packet === undefined) throw new Error('nothing came')
  return packet
}
