import type { ServiceSender } from '../../aws/call/service-sender.ts'
import type { KafkaSenders } from '../../kafka/kafka-senders.ts'
import type { LabActions } from './lab-actions.ts'
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
  readonly kafka: Pick<KafkaSenders, 'senderFor'>
  readonly labActions: Pick<LabActions, 'takesBrokers'>
}

/**
 * Makes the senders of the lab: functions of the folder are invoked, emulators and brokers of this
 * machine are called, and other calls are recorded, so that nothing leaves the machine and nothing
 * happens in silence.
 */
export function createLabSenders(
  dependencies: LabSenderDependencies,
): (destination: ServiceDestination) => ServiceSender {
  const { functions, emulators, kafka, labActions } = dependencies
  const recordingSender = createRecordingSenders(dependencies)

  return (destination) => {
    if (
      destination.kind === 'kafka' &&
      labActions.takesBrokers(destination.clientProperties ?? {})
    ) {
      return kafka.senderFor(destination)
    }
    const otherwise = emulators.senderFor(destination) ?? recordingSender(destination)
    return destination.kind === 'lambda'
      ? createFunctionSender({ functions, otherwise })
      : otherwise
  }
}
