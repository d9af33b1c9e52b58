import { call } from '../../api/engine.ts'

interface LabCall {
  readonly at: string
  readonly ruleName?: string
  /** -1 for the error action. */
  readonly actionIndex?: number
  /** Instead of a rule: the event source mapping whose on-failure destination was to be called. */
  readonly mapping?: string
  readonly kind: string
  readonly operation: string
  /** Absent where the key may not see payloads. */
  readonly parameters?: unknown
  readonly topic?: string
  readonly messageId?: string
}

/** A call with its place among those that the page has read. */
export interface ReadCall extends LabCall {
  readonly place: number
}

interface Listing {
  readonly calls: readonly LabCall[]
  readonly nextToken?: string
  readonly resumeToken: string
}

export interface CallFilter {
  readonly rule: string
  readonly kind: string
  readonly mapping: string
}

/** What a page shows: the newest calls, the newest first. */
export interface NewestCalls {
  readonly calls: readonly ReadCall[]
  /** How many calls were read, with those that made room for newer ones. */
  readonly count: number
}

export const shownMax = 200

/**
 * Reads the calls of the lab. The API lists the oldest first, so the first reading goes through all
 * of them, and each later one begins where the one before ended.
 */
export function createCallReader(filter: CallFilter) {
  let token: string | undefined
  let calls: readonly ReadCall[] = []
  let count = 0

  function take(page: Listing): void {
    // A lab that has started again has forgotten its calls, and counts from the beginning.
    if (token !== undefined && Number(page.resumeToken) < Number(token)) {
      calls = []
      count = 0
    }
    const wanted = page.calls.filter(
      ({ mapping }) => filter.mapping === '' || mapping === filter.mapping,
    )
    calls = [...calls, ...wanted.map((found, at) => ({ ...found, place: count + at }))]
    calls = calls.slice(-shownMax)
    count += wanted.length
    token = page.resumeToken
  }

  return async (signal: AbortSignal): Promise<NewestCalls> => {
    for (;;) {
      const from = token
      const page = await call<Listing>({
        path: '/v1/lab/calls',
        query: { ruleName: filter.rule, kind: filter.kind, maxResults: '1000', nextToken: from },
        signal,
      })
      // Another reading, which began when the tab was seen again, may have taken them meanwhile.
      if (token !== from) continue
      take(page)
      if (page.nextToken === undefined) return { calls: calls.toReversed(), count }
    }
  }
}
