import type { Clock } from '../base/clock.ts'
import type { CallExternal, ExternalFunctionName } from '../sql/externals/external-request.ts'
import { unlessAborted } from '../base/unless-aborted.ts'

/** The guide gives a Lambda function 2 s, and says nothing of the others. */
const timeoutsMs: Readonly<Record<ExternalFunctionName, number>> = {
  aws_lambda: 2_000,
  get_dynamodb: 5_000,
  get_secret: 5_000,
  get_thing_shadow: 5_000,
  get_registry_data: 5_000,
  decode: 5_000,
}
/** Calls under way at a time, of all rules and clients; the others wait in line. */
const underwayMax = 256
const waitingMax = 10_000

/** Bounds a caller: how long a call may take, waiting included, and how many are under way. */
export function createBoundedCall(
  call: CallExternal,
  { clock }: { readonly clock: Clock },
): CallExternal {
  const places = createPlaces()

  async function callInPlace(...[request, signal]: Parameters<CallExternal>) {
    await places.take(signal)
    try {
      return await unlessAborted(call(request, signal), signal)
    } finally {
      places.giveBack()
    }
  }

  return async (request, signal) => {
    const timeoutMs = timeoutsMs[request.function]
    const timeout = new AbortController()
    const cancel = clock.after(timeoutMs, () => timeout.abort())
    try {
      return await callInPlace(request, AbortSignal.any([signal, timeout.signal]))
    } catch (thrown) {
      if (!timeout.signal.aborted) throw thrown
      throw new Error(`no answer within ${timeoutMs} ms`, { cause: thrown })
    } finally {
      cancel()
    }
  }
}

function createPlaces() {
  let taken = 0
  const waiting = new Set<() => void>()

  function giveBack(): void {
    const [next] = waiting
    if (next === undefined) {
      taken -= 1
      return
    }
    waiting.delete(next)
    next()
  }

  return {
    giveBack,
    async take(signal: AbortSignal): Promise<void> {
      if (signal.aborted) throw new Error('the call was given up')
      if (taken < underwayMax) {
        taken += 1
        return
      }
      if (waiting.size === waitingMax) throw new Error(`${waitingMax} calls are waiting already`)
      let inherit: (() => void) | undefined
      const turn = new Promise<void>((resolve) => {
        inherit = resolve
        waiting.add(resolve)
      })
      try {
        await unlessAborted(turn, signal)
      } catch (thrown) {
        // Given the place just then: it is for the next one.
        if (inherit !== undefined && !waiting.delete(inherit)) giveBack()
        throw thrown
      }
    },
  }
}
