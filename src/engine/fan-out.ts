import type { NewRecord } from '../outbox/outbox.ts'
import { bytesOfRecords, recordOverheadBytes } from './record-bytes.ts'

/**
 * Bounds the memory of records that are on their way to disk. The ingress counts the bytes of
 * messages, but one message of 128 KiB that 900 rules select can make a thousand times as much, and
 * a thousand messages of 1 KiB for 15 rules each make as much together.
 *
 * Messages for two rules or more are counted, by an estimate while their rules run, and by their
 * records until they are on disk. While `fanOutBytesMax` or more are taken, further ones wait
 * before their rules run, in the order of arrival; small ones wait from twice as much on, so that
 * large ones do not hold them up. So the memory is bounded by twice `fanOutBytesMax` and what one
 * message makes, which gather.ts bounds. Those that wait are as many as there are unanswered
 * messages, which the ingress bounds.
 */
export interface FanOut {
  /**
   * Runs the rules of a message, now or when there is memory.
   *
   * @param count of the rules
   * @param payloadBytes of the message
   */
  run<Result>(
    count: number,
    payloadBytes: number,
    rules: () => Result | Promise<Result>,
  ): Result | Promise<Result>
  /**
   * Counts records. To be called as soon as the rules have run.
   *
   * @param durable settles when the records are on disk, or never will be
   */
  add(records: readonly NewRecord[], durable: Promise<void>): void
}

const fanOutBytesMax = 64 * 1024 * 1024
/** What a small message is expected to make at most. */
const smallBytesMax = 64 * 1024
/** Records are in memory twice: as they are made, and as they are encoded for the disk. */
const copies = 2

/** Records that become durable together: the messages of a commit share its promise. */
interface Underway {
  readonly durable: Promise<void>
  bytes: number
}

export function createFanOut(): FanOut {
  const waiting: (() => void)[] = []
  let bytes = 0
  let isPlanned = false
  let last: Underway | undefined

  function wakeNext(): void {
    isPlanned = false
    if (bytes >= fanOutBytesMax) return
    waiting.shift()?.()
    plan()
  }

  // One in each turn of the event loop: the bytes of a message are known when its rules have run.
  function plan(): void {
    if (isPlanned || waiting.length === 0) return
    isPlanned = true
    setImmediate(wakeNext)
  }

  function release(released: number): void {
    bytes -= released
    plan()
  }

  function begin<Result>(
    expected: number,
    rules: () => Result | Promise<Result>,
  ): Result | Promise<Result> {
    bytes += expected
    const result = rules()
    if (result instanceof Promise) return result.finally(() => release(expected))
    release(expected)
    return result
  }

  const mayBegin = (expected: number): boolean =>
    expected <= smallBytesMax
      ? bytes < 2 * fanOutBytesMax
      : bytes < fanOutBytesMax && waiting.length === 0

  return {
    run(count, payloadBytes, rules) {
      const expected = count * (payloadBytes + recordOverheadBytes)
      if (mayBegin(expected)) return begin(expected, rules)
      return new Promise<void>((resolve) => waiting.push(resolve)).then(() =>
        begin(expected, rules),
      )
    },
    add(records, durable) {
      if (records.length < 2) return
      const added = copies * bytesOfRecords(records)
      bytes += added
      if (last?.durable === durable) {
        last.bytes += added
        return
      }
      const underway = { durable, bytes: added }
      last = underway
      const ended = () => {
        if (last === underway) last = undefined
        release(underway.bytes)
      }
      durable.then(ended, ended)
    },
  }
}
