import type { Clock } from '../../base/clock.ts'
import type { LabCall } from './call-log.ts'
import { faultMessage } from '../faults/fault-message.ts'
import type { Denial } from '../faults/fault-message.ts'
import { faultStatus } from '../faults/faults.ts'
import type { CallFaults, CallSubject, Faults } from '../faults/faults.ts'
import { htmlAnswer } from '../wire/lab-http.ts'
import type { LabAnswer, LabRequest } from '../wire/lab-http.ts'
import { ServiceError } from '../wire/service-error.ts'

export type CallObserver = (call: LabCall) => void

/** One call of Kinesis or STS, with the functions that execute it and build its response. */
interface ServiceCall {
  readonly context: { readonly clock: Clock; readonly faults: Faults }
  readonly observer: CallObserver
  readonly request: LabRequest
  readonly requestId: string
  readonly call: CallSubject
  /** The error of the caller check; undefined when the caller is allowed. */
  readonly refusal: ServiceError | undefined
  /** What the call may not do, for a fault rule that denies it. */
  denial(): Denial
  /** Executes the call. @throws any error: `onError` builds the response from it */
  run(call: CallSubject): CallOutcome | Promise<CallOutcome>
  /** The response to an error, in the format of the protocol. */
  onError(thrown: unknown): { error: ServiceError; answer: LabAnswer }
}

interface CallOutcome {
  readonly answer: LabAnswer
  readonly failedRecordCount?: number
}

/** Applies fault rules, executes the call and notifies the observer. Never rejects. */
export async function carryOutServiceCall(service: ServiceCall): Promise<LabAnswer> {
  const { context, call, request } = service
  const startedMs = context.clock.wallMs()
  const sinceMs = context.clock.monotonicMs()
  const faults = context.faults.onCall(call)
  if (faults.delayMs > 0) await context.clock.sleep(faults.delayMs)
  const { answer, ...details } = await outcomeOf(service, faults)
  service.observer({
    ...call,
    ...details,
    protocol: request.protocol,
    startedMs,
    endedMs: startedMs + Math.round(context.clock.monotonicMs() - sinceMs),
    status: answer.kind === 'cut' ? 0 : answer.status,
  })
  return answer
}

interface Outcome extends CallOutcome {
  readonly errorCode?: string
}

const cut: LabAnswer = Object.freeze({ kind: 'cut' })

async function outcomeOf(service: ServiceCall, faults: CallFaults): Promise<Outcome> {
  const { instead } = faults
  if (instead?.kind === 'dropCall') return { answer: cut }
  if (instead?.kind === 'html') return { answer: htmlAnswer(instead.status, service.requestId) }
  try {
    if (instead) {
      const message = instead.message ?? faultMessage(instead.code, () => service.denial())
      throw new ServiceError(instead.code, message, faultStatus(instead))
    }
    if (service.refusal) throw service.refusal
    const outcome = await service.run(service.call)
    return faults.dropsAnswer ? { ...outcome, answer: cut } : outcome
  } catch (thrown) {
    const { error, answer } = service.onError(thrown)
    return { answer: faults.dropsAnswer ? cut : answer, errorCode: error.code }
  }
}
