import { decodeServiceCall } from '../../aws/call/service-call.ts'
import type { CallOutcome } from '../../aws/call/call-outcome.ts'
import type { ServiceSender } from '../../aws/call/service-sender.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import type { FunctionEvents } from '../../event-source/functions/function-api.ts'
import type { QueuedRecord } from '../../outbox/outbox.ts'

interface FunctionSenderDependencies {
  readonly functions: FunctionEvents
  /** Takes the records of functions that the folder does not have. */
  readonly otherwise: ServiceSender
}

/** As large as a call of the service. */
const bytesMax = 8 * 1_024 * 1_024

/**
 * Invokes the functions of the folder, as Lambda does for the invocation type `Event`. A record is
 * delivered when its function has been invoked once, so that a stop of the lab loses none that
 * waits. The retries of a function that fails are no longer the matter of the record.
 */
export function createFunctionSender({
  functions,
  otherwise,
}: FunctionSenderDependencies): ServiceSender {
  async function invoke({ call = '{}', data }: QueuedRecord): Promise<CallOutcome | undefined> {
    const { FunctionName: name } = decodeServiceCall(call).parameters
    if (typeof name !== 'string') return undefined
    try {
      const reason = await functions.invokeForEvent(name, data.toString())
      if (reason === undefined) return { answered: true, records: [{ ok: true }] }
      return notInvoked('ServiceUnavailableException', reason)
    } catch (thrown) {
      if (thrown instanceof SluiceError && isUnknown(thrown)) return undefined
      // A file of the folder could not be read.
      return notInvoked('InternalFailure', messageOf(thrown))
    }
  }

  return {
    recordsMax: 1,
    bytesMax,
    operationOf: () => 'Invoke',
    async send(records, signal) {
      const [record] = records
      const outcome = record && (await invoke(record))
      return outcome ?? otherwise.send(records, signal)
    },
  }
}

/** Failures that pass: the record is sent again. */
const notInvoked = (code: string, message: string): CallOutcome => ({
  answered: false,
  failure: { code, message, source: 'Lambda' },
})

const isUnknown = ({ code }: SluiceError) =>
  code === 'ResourceNotFoundException' || code === 'ValidationException'
