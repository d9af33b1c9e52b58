/**
 * The turns of password checks, which are expensive: a few run at a time and a few wait, and the
 * addresses that have checks waiting take turns, however many each of them has.
 *
 * Invariants:
 * - A check that waits is taken out as soon as its client has gone. One that runs cannot be
 *   stopped.
 * - At most `waitingPerAddressMax` checks of one address wait, and at most `waitingMax` in all.
 *   When all of these are taken, the address with the most gives up its last one for an address
 *   that has fewer.
 */
interface CheckTurns {
  /**
   * Runs the check in its turn; at once when a turn is free, even if the client has gone.
   *
   * @param gone aborted when the client has gone
   * @returns what the check resolves to. `busy`: too many wait; `gone`: the client went meanwhile
   */
  run<Result>(
    address: string,
    gone: AbortSignal | undefined,
    check: () => Promise<Result>,
  ): Promise<Result | 'busy' | 'gone'>
}

interface CheckTurnsOptions {
  readonly runningMax: number
  readonly waitingMax: number
  readonly waitingPerAddressMax: number
}

/** Told why the check is over before it ran; nothing when it is its turn. */
type Wake = (end?: 'busy' | 'gone') => void

export function createCheckTurns(options: CheckTurnsOptions): CheckTurns {
  const { runningMax, waitingMax, waitingPerAddressMax } = options
  /** In the order in which the addresses take their turns. */
  const waiting = new Map<string, Set<Wake>>()
  let waitingCount = 0
  let running = 0

  function remove(address: string, wake: Wake): void {
    const line = waiting.get(address)
    if (!line?.delete(wake)) return
    waitingCount--
    if (line.size === 0) waiting.delete(address)
  }

  function wakeNext(): void {
    const [next] = waiting
    if (next === undefined) {
      running--
      return
    }
    const [address, line] = next
    const [wake] = line
    // The address goes to the end: the others come before its next check.
    waiting.delete(address)
    waiting.set(address, line)
    if (wake === undefined) return
    remove(address, wake)
    wake()
  }

  function hasRoom(address: string): boolean {
    const mine = waiting.get(address)?.size ?? 0
    if (mine >= waitingPerAddressMax) return false
    if (waitingCount < waitingMax) return true
    const [longest, line] = longestLine(waiting) ?? []
    const last = line && [...line].at(-1)
    if (longest === undefined || !last || line.size <= mine + 1) return false
    remove(longest, last)
    last('busy')
    return true
  }

  function wait(address: string, gone: AbortSignal | undefined): Promise<'busy' | 'gone' | void> {
    return new Promise((resolve) => {
      const leave = () => {
        remove(address, wake)
        resolve('gone')
      }
      const wake: Wake = (end) => {
        gone?.removeEventListener('abort', leave)
        resolve(end)
      }
      const line = waiting.get(address) ?? new Set()
      waiting.set(address, line.add(wake))
      waitingCount++
      gone?.addEventListener('abort', leave, { once: true })
    })
  }

  return {
    async run(address, gone, check) {
      if (running < runningMax) running++
      else if (gone?.aborted) return 'gone'
      else if (!hasRoom(address)) return 'busy'
      else {
        const end = await wait(address, gone)
        if (end !== undefined) return end
      }
      // A check that waited has been given the turn of the one before it.
      try {
        return await check()
      } finally {
        wakeNext()
      }
    },
  }
}

function longestLine(
  waiting: ReadonlyMap<string, ReadonlySet<Wake>>,
): readonly [address: string, line: ReadonlySet<Wake>] | undefined {
  let longest: readonly [string, ReadonlySet<Wake>] | undefined
  for (const entry of waiting) {
    if (entry[1].size > (longest?.[1].size ?? 0)) longest = entry
  }
  return longest
}
