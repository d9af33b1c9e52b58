import type { CallSubject } from '../faults/faults.ts'

/** One call that the lab answered, for tests of what a client did. */
export interface LabCall extends CallSubject {
  readonly protocol: 'HTTP/1.1' | 'HTTP/2'
  /** Epoch milliseconds; the end is the start plus the monotonic duration. */
  readonly startedMs: number
  readonly endedMs: number
  /** HTTP status; 0 when the connection was closed instead. */
  readonly status: number
  readonly errorCode?: string
  /** Entries of PutRecords that were not stored. */
  readonly failedRecordCount?: number
}

/** The most recent calls, oldest first, up to a maximum. */
export interface CallLog {
  add(call: LabCall): void
  list(): readonly LabCall[]
  clear(): void
}

export function createCallLog(callsMax: number): CallLog {
  let calls: LabCall[] = []
  return {
    add(call) {
      if (callsMax === 0) return
      calls.push(call)
      // Cut at twice the maximum, so that the cost of cutting is spread over many calls.
      if (calls.length >= callsMax * 2) calls = calls.slice(-callsMax)
    },
    list: () => calls.slice(-callsMax),
    clear() {
      calls = []
    },
  }
}
