import type { Clock } from '../../base/clock.ts'
import type { LabCall } from './call-log.ts'
import { faultStatus } from '../faults/faults.ts'
import type { CallFaults, CallSubject, Faults } from '../faults/faults.ts'
import { htmlAnswer } from '../wire/lab-http.ts'
import type { LabAnswer, LabRequest } from '../wire/lab-http.ts'
import { ServiceError } from '../wire/service-error.ts'

export type CallObserver = (call: LabCall) => void

/** One call of Kinesis or STS, from what is known before it to its answer. */
interface ServiceCall {
  readonly context: { readonly clock: Clock; readonly faults: Faults }
  readonly observer: CallObserver
  readonly request: LabRequest
  readonly requestId: string
  readonly call: CallSubject
  /** Why the call is refused before it is looked at. */
  readonly refusal: ServiceError | undefined
  /** Carries the call out. @throws anything: `onError` makes the answer of it */
  run(call: CallSubject): { answer: LabAnswer; failedRecordCount?: number }
  /** The answer to something thrown, in the form of the protocol. */
  onError(thrown: unknown): { error: ServiceError; answer: LabAnswer }
}

/** Applies the faults that are due, carries the call out and tells the observer. Never rejects. */
export async function carryOut(service: ServiceCall): Promise<LabAnswer> {
  const { context, call, request } = service
  const startedMs = context.clock.wallMs()
  const sinceMs = context.clock.monotonicMs()
  const faults = context.faults.onCall(call)
  if (faults.delayMs > 0) await context.clock.sleep(faults.delayMs)
  const { answer, ...details } = outcomeOf(service, faults)
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

interface Outcome {
  readonly answer: LabAnswer
  readonly errorCode?: string
  readonly failedRecordCount?: number
}

const cut: LabAnswer = Object.freeze({ kind: 'cut' })

function outcomeOf(service: ServiceCall, faults: CallFaults): Outcome {
  const { instead } = faults
  if (instead?.kind === 'dropCall') return { answer: cut }
  if (instead?.kind === 'html') return { answer: htmlAnswer(instead.status, service.requestId) }
  try {
    if (instead) {
      const message = instead.message ?? `${instead.code}, as a fault rule asks for.`
      throw new ServiceError(instead.code, message, faultStatus(instead))
    }
    if (service.refusal) throw service.refusal
    const outcome = service.run(service.call)
    return faults.dropsAnswer ? { ...outcome, answer: cut } : outcome
  } catch (thrown) {
    const { error, answer } = service.onError(thrown)
    return { answer: faults.dropsAnswer ? cut : answer, errorCode: error.code }
  }
}
