import { shorten } from '../../base/errors.ts'
import { unlessAborted } from '../../base/unless-aborted.ts'
import type { CallRecord, ServiceSender } from '../call/service-sender.ts'
import { identityOfProcess } from '../call/credentials.ts'
import type { AwsCredentials, Identity } from '../call/credentials.ts'
import type { CallOutcome, RecordOutcome } from '../call/call-outcome.ts'
import { classify, failureOf, sessionRefusalOf } from '../call/failure-class.ts'
import type { Failure } from '../call/failure-class.ts'
import { decodeServiceCall } from '../call/service-call.ts'
import { createProcessClient } from '../call/sts.ts'
import type { HttpAnswer } from '../http/http-poster.ts'
import type { HttpAccess } from '../http/http-access.ts'
import { createRecordFaults } from '../http/record-faults.ts'
import type { RecordFaults } from '../http/record-faults.ts'
import { signRequest } from '../http/sign-request.ts'
import { chunksOf } from './chunks.ts'
import { taken } from './sender.ts'
import type { SenderOptions } from './sender.ts'

/** The parameters that the HTTP action makes. */
interface HttpParameters {
  readonly url: string
  readonly headers: readonly { readonly key: string; readonly value: string }[]
  readonly auth?: {
    readonly sigv4: { readonly signingRegion: string; readonly serviceName: string }
  }
  /** There when the action batches. */
  readonly batchConfig?: {
    readonly maxBatchSize?: number
    readonly maxBatchSizeBytes?: number
  }
}

/** A record with the request that it asks for. */
interface Waiting {
  readonly record: CallRecord
  readonly index: number
  readonly parameters: HttpParameters
  /** Records with other keys are not of one batch. Undefined: the action does not batch. */
  readonly batchKey: string | undefined
}

/** AWS IoT API Reference, BatchConfig: the defaults. */
const batchDefaults = { maxBatchSize: 10, maxBatchSizeBytes: 5_120 }
const shownCharactersMax = 200

/**
 * Posts records to the endpoints under one confirmation URL: each of them alone, or as JSON arrays
 * where the action batches [AWS IoT developer guide, "HTTP"].
 */
export function createHttpSend(options: SenderOptions): ServiceSender<CallRecord>['send'] {
  const { http, target = '' } = options
  if (http === undefined) throw new Error('the HTTP action has no access to endpoints')
  const send = createBatchSend(createPost(options, http), createRecordFaults(http))
  return async (records, signal) => {
    const reason = http.disabledReason(target)
    if (reason !== undefined) {
      const failure = { code: 'DestinationNotEnabled', message: reason, source: 'HTTP' } as const
      return { answered: false, failure }
    }
    const sent = await Promise.all(batchesOf(records).map((batch) => send(batch, signal)))
    return outcomeOf(sent.flat().toSorted((left, right) => left.index - right.index))
  }
}

type Batch = readonly Waiting[]

/** Makes the request of a batch. @returns undefined when the endpoint took all of it */
type Post = (batch: Batch, signal: AbortSignal) => Promise<Failure | undefined>

function createPost(options: SenderOptions, { poster }: HttpAccess): Post {
  const { credentials, target = '' } = options
  let identity: Identity | undefined = credentials

  function signerOf(): Identity {
    identity ??= identityOfProcess(createProcessClient(options))
    return identity
  }

  return async (batch, signal) => {
    // "Headers: those of the last message put into the batch."
    const last = batch.at(-1)
    if (last === undefined) return undefined
    const { url, headers: given, auth } = last.parameters
    const headers = given.map(({ key, value }) => [key, value] as const)
    const request = { url, headers, body: bodyOf(batch) }
    let signer: AwsCredentials | undefined
    try {
      if (auth !== undefined) signer = await unlessAborted(signerOf().current(), signal)
    } catch (thrown) {
      return failureOf(thrown, 'AssumeRole')
    }
    try {
      const signed = auth && signer && (await signRequest(request, auth.sigv4, signer))
      const answer = await poster.post({ ...request, headers: signed ?? headers, signal })
      const failure = failureOfAnswer(answer, { url, target, isSigned: signer !== undefined })
      const refusal = failure && sessionRefusalOf(failure.code)
      if (refusal && signer) signerOf().drop(signer, refusal)
      return failure
    } catch (thrown) {
      return failureOf(thrown, 'HTTP')
    }
  }
}

/** Makes the function that sends a batch, and finds the record that spoils it. */
function createBatchSend(post: Post, faults: RecordFaults) {
  return async function send(batch: Batch, signal: AbortSignal): Promise<readonly Sent[]> {
    const failure = await post(batch, signal)
    const sequences = batch.map(({ record }) => record.sequence)
    const all = (outcome: RecordOutcome, isOfEndpoint = false) =>
      batch.map(({ index }) => ({ index, outcome, isOfEndpoint }))
    if (failure === undefined) {
      for (const sequence of sequences) faults.done(sequence, true)
      return all(taken)
    }
    const kind = classify(failure)
    const isUnclear = kind === 'passing' && mayBeOfRecord(failure)
    const culprits = isUnclear ? sequences.map((sequence) => faults.failed(sequence)) : []
    const isRefused = kind === 'record' || culprits.includes('refused')
    if (isRefused && batch.length > 1) {
      // One record spoils a batch: it alone is given up.
      const alone = await Promise.all(batch.map((waiting) => send([waiting], signal)))
      return alone.flat()
    }
    if (isRefused) for (const sequence of sequences) faults.done(sequence, false)
    const code = kind === 'record' || !isRefused ? failure.code : refusedRepeatedly
    const isOfRecord = kind === 'record' || culprits.some((culprit) => culprit !== 'endpoint')
    return all({ ok: false, failure: { ...failure, code } }, !isOfRecord)
  }
}

/** What became of one record. */
interface Sent {
  readonly index: number
  readonly outcome: RecordOutcome
  /** The failure is one of the endpoint, not of the record. */
  readonly isOfEndpoint: boolean
}

/** The endpoint took other records and failed for this one again and again. */
const refusedRepeatedly = 'RefusedRepeatedly'

/** When the endpoint failed for every record, the whole call failed: all of them wait. */
function outcomeOf(sent: readonly Sent[]): CallOutcome {
  const [first] = sent
  if (first !== undefined && !first.outcome.ok && sent.every(({ isOfEndpoint }) => isOfEndpoint)) {
    return { answered: false, failure: first.outcome.failure }
  }
  return { answered: true, records: sent.map(({ outcome }) => outcome) }
}

/** A crash of the endpoint's handler looks like this, and so does a handler that never ends. */
function mayBeOfRecord({ code, status }: Failure): boolean {
  if (status !== undefined) return status >= 500
  return code === 'TimeoutError' || code === 'ECONNRESET'
}

function batchesOf(records: readonly CallRecord[]): readonly (readonly Waiting[])[] {
  const groups = new Map<string, Waiting[]>()
  const alone: Waiting[][] = []
  for (const [index, record] of records.entries()) {
    const { parameters, batchKey } = decodeServiceCall(record.call ?? '{}')
    // The action makes these parameters only.
    const waiting = { record, index, parameters: parameters as unknown as HttpParameters, batchKey }
    const key = JSON.stringify([waiting.parameters.url, batchKey])
    if (batchKey === undefined) alone.push([waiting])
    else groups.set(key, [...(groups.get(key) ?? []), waiting])
  }
  return [...alone, ...[...groups.values()].flatMap(cut)]
}

/** Cuts records of one batch by the limits of their action. */
function cut(group: readonly Waiting[]): readonly (readonly Waiting[])[] {
  const { maxBatchSize, maxBatchSizeBytes } = {
    ...batchDefaults,
    ...group.at(-1)?.parameters.batchConfig,
  }
  return chunksOf(group, {
    countMax: maxBatchSize,
    bytesMax: maxBatchSizeBytes,
    bytesOf: ({ record }) => record.data.length,
  })
}

/** A batch is an array of what the rule's SELECT gave, also when it holds one record. */
function bodyOf(batch: readonly Waiting[]): Buffer {
  const [first] = batch
  if (first === undefined) return Buffer.alloc(0)
  if (first.batchKey === undefined) return first.record.data
  const items = batch.flatMap(({ record }, index) =>
    index === 0 ? [record.data] : [comma, record.data],
  )
  return Buffer.concat([opening, ...items, closing])
}

const opening = Buffer.from('[')
const comma = Buffer.from(',')
const closing = Buffer.from(']')

/** @returns undefined for a success */
function failureOfAnswer(
  { status, reason, header, body }: HttpAnswer,
  { url, target, isSigned }: { readonly url: string; readonly target: string; isSigned: boolean },
): Failure | undefined {
  if (status >= 200 && status < 300) return undefined
  const { origin, pathname } = new URL(url)
  const location = status < 400 ? header('location') : undefined
  const detail =
    location === undefined
      ? shorten(body.toString().replaceAll(/\s+/g, ' ').trim(), shownCharactersMax)
      : `a redirect to ${shorten(location, shownCharactersMax)} is not followed`
  const answered = `${origin}${pathname} answered ${[status, reason].filter(Boolean).join(' ')}`
  return {
    code: codeOf(status, { isOwnUrl: url === target, awsCode: isSigned ? header(awsHeader) : '' }),
    message: detail === '' ? answered : `${answered}: ${detail}`,
    source: 'HTTP',
    status,
  }
}

const awsHeader = 'x-amzn-errortype'

function codeOf(
  status: number,
  { isOwnUrl, awsCode = '' }: { readonly isOwnUrl: boolean; readonly awsCode?: string | undefined },
): string {
  const [ofAws = ''] = awsCode.split(':')
  if (awsCodes.has(ofAws)) return ofAws
  // Of many URLs under one confirmation URL, one may be missing: the record names it.
  if (isOwnUrl && (status === 404 || status === 410)) return 'EndpointNotFound'
  return `HTTP_${status}`
}

/**
 * What services of AWS say of a signed request. Other codes are left out: metrics have a series for
 * each code, and the endpoint writes them.
 */
const awsCodes: ReadonlySet<string> = new Set([
  'AccessDeniedException',
  'ExpiredTokenException',
  'InvalidClientTokenId',
  'InvalidSignatureException',
  'MissingAuthenticationTokenException',
  'RequestExpired',
  'ThrottlingException',
  'TooManyRequestsException',
  'UnrecognizedClientException',
])
