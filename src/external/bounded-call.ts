import type { Clock } from '../base/clock.ts'
import type { CallExternal, ExternalFunctionName } from '../sql/externals/external-request.ts'
import { unlessAborted } from '../base/unless-aborted.ts'

/** The AWS IoT guide gives a Lambda function 2 s and says nothing about the other functions. */
const timeoutsMs: Readonly<Record<ExternalFunctionName, number>> = {
  aws_lambda: 2_000,
  get_dynamodb: 5_000,
  get_secret: 5_000,
  get_thing_shadow: 5_000,
  get_registry_data: 5_000,
  decode: 5_000,
}
/** Calls in flight at a time, of all rules and clients. Further calls wait for a slot. */
const inFlightMax = 256
const waitingMax = 10_000

/** Bounds how long a call may take, its waiting included, and how many calls are in flight. */
export function createBoundedCall(
  call: CallExternal,
  { clock }: { readonly clock: Clock },
): CallExternal {
  const slots = createSlots()

  async function callInSlot(...[request, signal]: Parameters<CallExternal>) {
    await slots.take(signal)
    try {
      return await unlessAborted(call(request, signal), signal)
    } finally {
      slots.release()
    }
  }

  return async (request, signal) => {
    const timeoutMs = timeoutsMs[request.function]
    const timeout = new AbortController()
    const cancel = clock.after(timeoutMs, () => timeout.abort())
    try {
      return await callInSlot(request, AbortSignal.any([signal, timeout.signal]))
    } catch (thrown) {
      if (!timeout.signal.aborted) throw thrown
      throw new Error(`no answer within ${timeoutMs} ms`, { cause: thrown })
    } finally {
      cancel()
    }
  }
}

function createSlots() {
  let taken = 0
  const waiting = new Set<() => void>()

  function release(): void {
    const [next] = waiting
    if (next === undefined) {
      taken -= 1
      return
    }
    waiting.delete(next)
    next()
  }

  return {
    release,
    async take(signal: AbortSignal): Promise<void> {
      if (signal.aborted) throw new Error('the call was aborted')
      if (taken < inFlightMax) {
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
        // The slot was handed over at the moment of the abort: pass it on.
        if (inherit !== undefined && !waiting.delete(inherit)) release()
        throw thrown
      }
    },
  }
}
