import type { ServiceSender } from '../../aws/call/service-sender.ts'
import type { FunctionEvents } from '../../event-source/functions/function-api.ts'
import type { ServiceDestination } from '../../outbox/outbox.ts'
import type { EndpointSenders } from './endpoint-senders.ts'
import { createFunctionSender } from './function-sender.ts'
import { createRecordingSenders } from './recording-sender.ts'
import type { RecordingDependencies } from './recording-sender.ts'

interface LabSenderDependencies extends RecordingDependencies {
  /** The functions of the folder. */
  readonly functions: FunctionEvents
  /** The emulators of services. */
  readonly emulators: Pick<EndpointSenders, 'senderFor'>
}

/**
 * Makes the senders of the lab: functions of the folder are invoked, emulators are called, and
 * other calls are recorded, so that nothing leaves the machine and nothing happens in silence.
 */
export function createLabSenders(
  dependencies: LabSenderDependencies,
): (destination: ServiceDestination) => ServiceSender {
  const { functions, emulators } = dependencies
  const recordingSender = createRecordingSenders(dependencies)

  return (destination) => {
    const otherwise = emulators.senderFor(destination) ?? recordingSender(destination)
    return destination.kind === 'lambda'
      ? createFunctionSender({ functions, otherwise })
      : otherwise
  }
}
