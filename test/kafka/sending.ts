import type { LookupFunction } from 'node:net'
import { onTestFinished } from 'vitest'
import type { CallOutcome } from '../../src/aws/call/call-outcome.ts'
import { systemClock } from '../../src/base/clock.ts'
import type { Clock } from '../../src/base/clock.ts'
import { createKafkaSenders } from '../../src/kafka/kafka-senders.ts'
import { deliveryDefaults } from '../../src/outbox/outbox.ts'
import type { QueuedRecord, ServiceDestination } from '../../src/outbox/outbox.ts'
import type { CallExternal } from '../../src/sql/sql.ts'

export interface Sent {
  readonly key?: string
  readonly partition?: number
  readonly value?: string
}

export function recordOf({ value = 'v', ...parameters }: Sent): QueuedRecord {
  const call = { operation: 'Produce', parameters, body: { member: 'value', as: 'bytes' } }
  const data = Buffer.from(value)
  return { call: JSON.stringify(call), data } as unknown as QueuedRecord
}

export function destinationOf(clientProperties: ServiceDestination['clientProperties']) {
  return {
    kind: 'kafka',
    target: 'readings',
    region: 'eu-west-1',
    credentials: { kind: 'process' },
    settings: deliveryDefaults,
    clientProperties,
  } as const
}

export const noSecret: CallExternal = () => Promise.reject(new Error('no secrets here'))

export function senders(
  readSecret = noSecret,
  clock: Clock = systemClock,
  lookup?: LookupFunction,
) {
  const made = createKafkaSenders({ readSecret, clock, lookup })
  onTestFinished(() => made.close())
  return {
    ...made,
    send: (
      server: string,
      records: readonly Sent[],
      properties: Record<string, string> = {},
      signal = new AbortController().signal,
    ) =>
      made
        .senderFor(
          destinationOf({
            'bootstrap.servers': server,
            'security.protocol': 'PLAINTEXT',
            ...properties,
          }),
        )
        .send(records.map(recordOf), signal),
  }
}

export function codesOf(outcome: CallOutcome): readonly string[] {
  if (!outcome.answered) return [outcome.failure.code]
  return outcome.records.map((record) => (record.ok ? 'ok' : record.failure.code))
}
