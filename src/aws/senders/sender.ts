import type { NodeHttpHandler } from '@smithy/node-http-handler'
import type { AddressGuard } from '../call/address-guard.ts'
import { attemptAs, identityOfProcess, sdkProviderOf } from '../call/credentials.ts'
import type { Identity, RoleCredentials } from '../call/credentials.ts'
import { failureOf } from '../call/failure-class.ts'
import type { Service } from '../call/service-failures.ts'
import type { RecordOutcome } from '../call/call-outcome.ts'
import { decodeServiceCall, parametersOf } from '../call/service-call.ts'
import type { CompleteParameters, ServiceCall } from '../call/service-call.ts'
import type { CallRecord, ServiceSender } from '../call/service-sender.ts'
import type { StaticCredentials } from '../call/sts.ts'
import { defined } from '../../base/defined.ts'
import type { HttpAccess } from '../http/http-access.ts'

/** What the client of one destination is made of. */
export interface SenderOptions {
  readonly region: string
  readonly requestHandler: NodeHttpHandler
  /** For services of AWS, where `requestHandler` is for servers that rules name. */
  readonly serviceHandler?: NodeHttpHandler | undefined
  /** Which addresses may be called where the record names the server. Absent: all of them. */
  readonly guard?: AddressGuard | undefined
  /** Without it the service is called at AWS. */
  readonly endpoint?: string | undefined
  /** The credentials of the role that sends. Without them the process sends as itself. */
  readonly credentials?: RoleCredentials | undefined
  /** The credentials of the process. Without them the SDK's credential chain is used. */
  readonly baseCredentials?: StaticCredentials | undefined
  /** The target of the destination. */
  readonly target?: string | undefined
  /** What the HTTP and InfluxDB actions need. */
  readonly http?: HttpAccess | undefined
}

/** Makes one call for records of one destination. Throws the SDK's error when all of it failed. */
type MakeCall = (
  requests: readonly ServiceRequest[],
  signal: AbortSignal,
) => Promise<readonly RecordOutcome[]>

/** The call for one record, ready to be sent. */
export interface ServiceRequest extends Pick<ServiceCall, 'operation'> {
  readonly parameters: CompleteParameters
}

/** The options of every SDK client that sends records. Delivery alone decides about retries. */
export function clientOptionsOf({
  region,
  requestHandler,
  endpoint,
  credentials,
  baseCredentials,
}: SenderOptions) {
  const provider = credentials === undefined ? baseCredentials : sdkProviderOf(credentials)
  return {
    region,
    requestHandler,
    maxAttempts: 1,
    // At an endpoint of the operator's own there is no host "data.<endpoint>".
    disableHostPrefix: endpoint !== undefined,
    ...defined({ endpoint, credentials: provider }),
  }
}

/** A client of the SDK, as far as all of them are alike. */
type SdkClient = Parameters<typeof identityOfProcess>[0]

/**
 * Makes the function that sends records with a client of the SDK.
 *
 * @param makeCall makes the call and answers one outcome for each record, in their order
 */
export function createSend(
  service: Service,
  client: SdkClient,
  { credentials }: Pick<SenderOptions, 'credentials'>,
  makeCall: MakeCall,
): ServiceSender<CallRecord>['send'] {
  const identity: Identity = credentials ?? identityOfProcess(client)
  return async (records, signal) => {
    const attempt = await attemptAs(identity, service, signal, async () =>
      makeCall(records.map(requestOf), signal),
    )
    return attempt.ok
      ? { answered: true, records: attempt.answer }
      : { answered: false, failure: attempt.failure }
  }
}

function requestOf({ call = '{}', data }: CallRecord): ServiceRequest {
  const decoded = decodeServiceCall(call)
  return { operation: decoded.operation, parameters: parametersOf(decoded, data) }
}

/** The parameter that all records of a destination share, such as the name of the table. */
export function sharedParameter(requests: readonly ServiceRequest[], name: string): string {
  const value = requests[0]?.parameters[name]
  return typeof value === 'string' ? value : ''
}

/**
 * Makes a call for each record of a service without a batch operation. One that fails fails for its
 * record alone; when there is only one record, its error is thrown as it is.
 */
export async function eachAlone<Request>(
  service: Service,
  requests: readonly Request[],
  send: (request: Request) => Promise<unknown>,
): Promise<readonly RecordOutcome[]> {
  const [only] = requests
  if (only !== undefined && requests.length === 1) {
    await send(only)
    return [taken]
  }
  return Promise.all(
    requests.map((request) =>
      send(request).then(
        () => taken,
        (thrown: unknown): RecordOutcome => ({ ok: false, failure: failureOf(thrown, service) }),
      ),
    ),
  )
}

/** The outcome of a record with several entries: it is taken when all of them are. */
export function worstOf(one: RecordOutcome | undefined, other: RecordOutcome): RecordOutcome {
  return one === undefined || one.ok ? other : one
}

/** The service took the record. */
export const taken: RecordOutcome = Object.freeze({ ok: true })

/** The service did not take the record. */
export function notTaken(
  service: Service,
  code: string | undefined,
  message: string | undefined,
  status?: number,
): RecordOutcome {
  const failure = {
    code: code ?? 'InternalFailure',
    message: message ?? 'The answer says nothing about this record',
    source: service,
    status,
  }
  return { ok: false, failure }
}

/** An entry of a batch that SQS or SNS did not take. */
interface FailedEntry {
  readonly Id?: string | undefined
  readonly Code?: string | undefined
  readonly Message?: string | undefined
  readonly SenderFault?: boolean | undefined
}

/**
 * The outcomes of a batch whose entries have the number of their record as their id. An entry that
 * the answer leaves out does not count as taken.
 */
export function outcomesOfBatch(
  service: Service,
  entries: readonly { readonly Id: string }[],
  answer: {
    readonly Successful?: readonly { readonly Id?: string | undefined }[] | undefined
    readonly Failed?: readonly FailedEntry[] | undefined
  },
): readonly RecordOutcome[] {
  const delivered = new Set(answer.Successful?.map(({ Id }) => Id))
  const failed = new Map(answer.Failed?.map((entry) => [entry.Id, entry]))
  return entries.map(({ Id }) => {
    if (delivered.has(Id)) return taken
    const { Code, Message, SenderFault } = failed.get(Id) ?? {}
    return notTaken(service, Code, Message, SenderFault ? 400 : undefined)
  })
}
