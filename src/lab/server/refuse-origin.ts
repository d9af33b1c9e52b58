import { randomUUID } from 'node:crypto'
import { SluiceError } from '../../base/errors.ts'
import { guardOrigin } from '../../base/origin-guard.ts'
import { isFaultsRequest } from '../faults/faults-endpoint.ts'
import { isStsRequest, stsErrorAnswer } from '../sts/sts.ts'
import { answer, hostOf } from '../wire/lab-http.ts'
import type { LabAnswer, LabRequestHead } from '../wire/lab-http.ts'
import { ServiceError } from '../wire/service-error.ts'

/**
 * Refuses requests of web pages: without a check of signatures, a page in a browser on this machine
 * could read and write streams. It answers in the form of the service that is called.
 *
 * @param guard the name or address that the lab listens on, and whether any `Host` is accepted
 * @returns undefined when the request may pass; the faults endpoint guards itself
 */
export function refuseOrigin(
  head: LabRequestHead,
  guard: { readonly host: string; readonly insecure: boolean },
): LabAnswer | undefined {
  if (isFaultsRequest(head)) return undefined
  try {
    guardOrigin({ host: hostOf(head), origin: head.headers.origin }, guard)
    return undefined
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    return refusal(head, thrown)
  }
}

function refusal(head: LabRequestHead, { status, code, message }: SluiceError): LabAnswer {
  const requestId = randomUUID()
  if (head.headers['x-amz-target'] === undefined && isStsRequest(head)) {
    return stsErrorAnswer(new ServiceError('AccessDenied', message, status), requestId)
  }
  const body = JSON.stringify({ __type: code, message })
  const given = answer(status, 'application/x-amz-json-1.1', body, requestId)
  // For clients whose format is not JSON.
  return { ...given, headers: { ...given.headers, 'x-amzn-errortype': code } }
}
