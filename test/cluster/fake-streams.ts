import type { KinesisCalls } from '../../src/aws/kinesis-calls.ts'
import { recordTooLarge } from '../../src/aws/call/failure-class.ts'
import type { RecordOutcome } from '../../src/aws/call/call-outcome.ts'
import type { Clock } from '../../src/base/clock.ts'
import type { Random } from '../helpers/random.ts'
import type { NodeClock } from './node-clock.ts'

/** A record that a stream has taken. */
interface Arrival {
  readonly streamName: string
  readonly partitionKey: string
  readonly text: string
}

/** Of 1,000 calls, or records. */
export interface StreamFaults {
  /** The call is carried out up to `lateMs` later. */
  late: number
  /** It is carried out, and its answer is lost. */
  answerLost: number
  /** A record is refused for now. */
  throttled: number
}

const lateMs = 15_000
const throttled: RecordOutcome = {
  ok: false,
  failure: { code: 'InternalFailure', message: 'later', source: 'Kinesis' },
}
const refused: RecordOutcome = {
  ok: false,
  failure: { code: recordTooLarge, message: 'too large', source: 'Kinesis' },
}

/** Streams that take records of several nodes, each call with a delay and with faults. */
export function createFakeStreams(
  clock: Clock,
  random: Random,
  onCall: (node: string, partitionKey: string) => void,
) {
  const arrivals: Arrival[] = []
  const faults: StreamFaults = { late: 0, answerLost: 0, throttled: 0 }
  const stuck = new Set<string>()
  const has = (perMille: number) => perMille > 0 && random(1_000) < perMille

  function takeRecord(streamName: string, record: { partitionKey: string; data: Buffer }) {
    const text = record.data.toString()
    if (text.startsWith('bad') && !streams.takesBad) return refused
    if (has(faults.throttled)) return throttled
    arrivals.push({ streamName, partitionKey: record.partitionKey, text })
    return { ok: true as const }
  }

  const streams = {
    /** Streams take what is bad otherwise. */
    takesBad: false,
    arrivals,
    faults,
    /** Streams that refuse everything. */
    stuck,
    callsFor: (node: string, nodeClock: NodeClock): Pick<KinesisCalls, 'put'> => ({
      put({ streamName, records }) {
        for (const { partitionKey } of records) onCall(node, partitionKey)
        return new Promise((resolve) => {
          const lateBy = has(faults.late) ? random(lateMs) : 0
          clock.after(1 + random(30) + lateBy, () => {
            const isStuck = stuck.has(streamName)
            const failure = { code: 'ECONNRESET', message: 'cut', source: 'Kinesis' as const }
            const outcomes = isStuck ? [] : records.map((record) => takeRecord(streamName, record))
            const isLost = isStuck || has(faults.answerLost)
            clock.after(1 + random(30), () => {
              nodeClock.whenAwake(() =>
                resolve(
                  isLost ? { answered: false, failure } : { answered: true, records: outcomes },
                ),
              )
            })
          })
        })
      },
    }),
  }
  return streams
}
