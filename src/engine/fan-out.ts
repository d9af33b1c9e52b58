import type { NewRecord } from '../outbox/outbox.ts'

/**
 * Bounds the memory of records that are on their way to disk. The ingress counts the bytes of
 * messages, but one message of 128 KiB that 900 rules select makes a thousand times as much.
 *
 * Only messages for `manyRules` or more are counted, and have to wait: while `fanOutBytesMax` or
 * more are taken, further ones wait before their rules run, in the order of arrival. A message is
 * counted by an estimate while its rules run, and by its records until they are on disk. So the
 * memory is bounded by `fanOutBytesMax` and what one message makes, which gather.ts bounds. Those
 * that wait are as many as there are unanswered messages, which the ingress bounds.
 */
export interface FanOut {
  /**
   * Runs the rules of a message, now or when there is memory.
   *
   * @param bytes what they are expected to make
   */
  run<Result>(bytes: number, rules: () => Result | Promise<Result>): Result | Promise<Result>
  /**
   * Counts records. To be called as soon as the rules have run.
   *
   * @param durable settles when the records are on disk, or never will be
   */
  add(records: readonly NewRecord[], durable: Promise<void>): void
}

const fanOutBytesMax = 64 * 1024 * 1024
/** What fewer rules make is bounded well enough by the bytes of the message. */
export const manyRules = 16

export function createFanOut(): FanOut {
  const waiting: (() => void)[] = []
  let bytes = 0
  let isPlanned = false

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

  return {
    run(expected, rules) {
      if (bytes < fanOutBytesMax && waiting.length === 0) return begin(expected, rules)
      return new Promise<void>((resolve) => waiting.push(resolve)).then(() =>
        begin(expected, rules),
      )
    },
    add(records, durable) {
      if (records.length < manyRules) return
      const added = bytesOf(records)
      bytes += added
      const ended = () => release(added)
      durable.then(ended, ended)
    },
  }
}

/** In memory, and as they are encoded for the disk. */
function bytesOf(records: readonly NewRecord[]): number {
  let bytes = 0
  for (const { data, source } of records) {
    bytes += data === source.payload ? data.length : 2 * data.length + source.payload.length
  }
  return bytes
}
