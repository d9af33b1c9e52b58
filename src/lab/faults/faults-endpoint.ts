import { randomUUID } from 'node:crypto'
import { SluiceError, messageOf } from '../../base/errors.ts'
import { guardOrigin } from '../../base/origin-guard.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import type { FaultList } from './fault-list.ts'
import { answer, hostOf } from '../wire/lab-http.ts'
import type { LabAnswer, LabRequest, LabRequestHead } from '../wire/lab-http.ts'

/**
 * Fault rules over HTTP, for tests of producers and consumers in other processes:
 *
 *     GET    /_faults        {"faults": [{"id", "rule", "appliedCount", "remainingCount"}, ...]}
 *     POST   /_faults        a rule -> 201 and its item
 *     DELETE /_faults        204; removes every rule
 *     GET    /_faults/{id}   its item
 *     DELETE /_faults/{id}   204
 *
 * An error is `{"message"}` with its code in `x-amzn-ErrorType`, as in the HTTP API of the engine.
 * These requests are never signed, not even in a strict lab; requests of web pages are refused.
 */
interface FaultsEndpoint {
  readonly faults: FaultList
  readonly logger: Pick<Logger, 'error'>
  /** The name or address that the lab listens on. */
  readonly host: string
  /** Whether any `Host` header is accepted: see origin-guard.ts. */
  readonly insecure: boolean
}

const jsonType = 'application/json'
const pathForm = /^\/_faults(?:\/([^/]*))?$/

/** Whether the request is for this endpoint. */
export const isFaultsRequest = (request: LabRequestHead) => pathForm.test(pathOf(request))

/** Executes a request. Never throws. */
export function answerFaults(endpoint: FaultsEndpoint, request: LabRequest): LabAnswer {
  try {
    const host = hostOf(request)
    guardOrigin({ host, origin: request.headers.origin }, endpoint)
    const id = pathForm.exec(pathOf(request))?.[1]
    return id === undefined ? answerAll(endpoint, request) : answerOne(endpoint, request, id)
  } catch (thrown) {
    return errorAnswer(endpoint, thrown)
  }
}

const pathOf = ({ target }: LabRequestHead) => target.split('?', 1)[0] ?? ''

function answerAll({ faults }: FaultsEndpoint, request: LabRequest): LabAnswer {
  switch (request.method) {
    case 'GET':
      return json(200, { faults: faults.all() })
    case 'POST':
      return json(201, faults.add(jsonOf(request.body)))
    case 'DELETE':
      faults.clear()
      return nothing()
    default:
      throw notAllowed(request, 'GET, POST or DELETE')
  }
}

function answerOne({ faults }: FaultsEndpoint, request: LabRequest, id: string): LabAnswer {
  switch (request.method) {
    case 'GET':
      return json(200, faults.get(id))
    case 'DELETE':
      faults.remove(id)
      return nothing()
    default:
      throw notAllowed(request, 'GET or DELETE')
  }
}

function jsonOf(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch (thrown) {
    throw new SluiceError('InvalidRequestException', `the body is not JSON: ${messageOf(thrown)}`)
  }
}

const notAllowed = ({ method }: LabRequest, allowed: string) =>
  new SluiceError('MethodNotAllowedException', `${method} is not ${allowed}`)

function errorAnswer({ logger }: FaultsEndpoint, thrown: unknown): LabAnswer {
  const error =
    thrown instanceof SluiceError
      ? thrown
      : new SluiceError('InternalException', 'the lab failed', { cause: thrown })
  if (error !== thrown) logger.error({ err: thrown }, error.message)
  return json(error.status, { message: error.message }, { 'x-amzn-errortype': error.code })
}

function json(status: number, body: object, headers: Readonly<Record<string, string>> = {}) {
  const given = answer(status, jsonType, `${JSON.stringify(body)}\n`, randomUUID())
  return { ...given, headers: { ...given.headers, ...headers } }
}

const nothing = (): LabAnswer => answer(204, jsonType, '', randomUUID())
