/**
 * Stands between the producer and the calls that deliver: no call begins with a record of a lane
 * that this node may not deliver any more. Such a record is answered as if it had been taken, so
 * that the producer lets go of it; it is not settled, and the owner of its lane delivers it.
 */
import type { CallOutcome, RecordOutcome } from '../../aws/call/call-outcome.ts'
import type { CallRecord, ServiceSender } from '../../aws/call/service-sender.ts'
import type { KinesisCalls } from '../../aws/kinesis-calls.ts'
import type { QueuedRecord } from '../../outbox/outbox.ts'
import type { OwnedLane } from './owned-lane.ts'
import type { PlacedRecords } from './placed-records.ts'

export interface LaneGuard {
  guardCalls(calls: KinesisCalls): KinesisCalls
  guardSender(sender: ServiceSender): ServiceSender
}

const passedOver: RecordOutcome = Object.freeze({ ok: true })

export function createLaneGuard(
  placed: Pick<PlacedRecords<OwnedLane>, 'find' | 'forget'>,
): LaneGuard {
  async function call<Sent extends Pick<CallRecord, 'sequence'>>(
    records: readonly Sent[],
    send: (records: readonly Sent[]) => Promise<CallOutcome>,
  ): Promise<CallOutcome> {
    const lanes = new Set<OwnedLane>()
    const isSent = records.map(({ sequence }) => {
      if (sequence === undefined) return false
      const owner = placed.find(sequence)?.owner
      if (owner?.maySend() !== true) {
        // It must not be settled when it is taken for delivered.
        placed.forget(sequence)
        return false
      }
      lanes.add(owner)
      return true
    })
    const sent = records.filter((_, index) => isSent[index])
    if (sent.length === 0) return { answered: true, records: records.map(() => passedOver) }
    const ends = Array.from(lanes, (lane) => lane.callStarted())
    try {
      const outcome = await send(sent)
      if (!outcome.answered || sent.length === records.length) return outcome
      const outcomes = outcome.records.values()
      return {
        answered: true,
        records: isSent.map((was) => (was ? (outcomes.next().value ?? passedOver) : passedOver)),
      }
    } finally {
      for (const end of ends) end()
    }
  }

  return {
    guardCalls: (calls) => ({
      ...calls,
      put(request) {
        // What the producer sends are records of the outbox.
        const records = request.records as readonly QueuedRecord[]
        return call(records, (sent) =>
          calls.put({
            ...request,
            operation: sent.length === 1 ? 'PutRecord' : request.operation,
            records: sent,
          }),
        )
      },
    }),
    guardSender: (sender) => ({
      recordsMax: sender.recordsMax,
      bytesMax: sender.bytesMax,
      operationOf: (records) => sender.operationOf(records),
      send: (records, signal) => call(records, (sent) => sender.send(sent, signal)),
    }),
  }
}
