import type { QueuedRecord, ServiceKind } from '../outbox/outbox.ts'
import type { SenderOptions } from './senders/sender.ts'
import type { ServiceSender } from './call/service-sender.ts'

/** How one service is called. Its client is loaded with the first call. */
interface ServiceCalling {
  readonly recordsMax: number
  readonly bytesMax: number
  readonly operation: string
  /** The operation for several records. Absent: there is none. */
  readonly batchOperation?: string | undefined
  readonly load: () => Promise<(options: SenderOptions) => ServiceSender['send']>
}

const kibibyte = 1_024

/** The kinds that have a sender. */
const callings: { readonly [Kind in ServiceKind]?: ServiceCalling } = {
  sqs: {
    recordsMax: 10,
    bytesMax: kibibyte * kibibyte,
    operation: 'SendMessage',
    batchOperation: 'SendMessageBatch',
    load: async () => (await import('./senders/sqs.ts')).createSqsSend,
  },
}

/** Whether records of this kind can be sent to their service. */
export function hasSender(kind: ServiceKind): boolean {
  return callings[kind] !== undefined
}

/**
 * Makes the sender of a destination.
 *
 * @throws Error for a kind without a sender: rules with such an action are refused at creation
 */
export function createServiceSender(kind: ServiceKind, options: SenderOptions): ServiceSender {
  const calling = callings[kind]
  if (calling === undefined) throw new Error(`there is no sender for ${kind}`)
  const { recordsMax, bytesMax, operation, batchOperation = operation, load } = calling
  let loading: Promise<ServiceSender['send']> | undefined
  return {
    recordsMax,
    bytesMax,
    operationOf: ({ length }) => (length > 1 ? batchOperation : operation),
    async send(records: readonly QueuedRecord[], signal: AbortSignal) {
      loading ??= load().then((create) => create(options))
      const send = await loading
      return send(records, signal)
    },
  }
}
