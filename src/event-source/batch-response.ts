import type { PartResult } from './batch-decision.ts'

/** The members of a function's response that a mapping reads. */
export interface BatchResponse {
  readonly result: PartResult
  /** With tumbling windows: the state for the next invocation. */
  readonly state?: unknown
  /** For the log: why the response counts as a failure. */
  readonly reason?: string
}

interface ResponseRules {
  /** FunctionResponseTypes has ReportBatchItemFailures. */
  readonly reportsFailures: boolean
  /** TumblingWindowInSeconds is above 0. */
  readonly hasWindow: boolean
}

/**
 * Reads the response of a function (Lambda Developer Guide, "Configuring partial batch response"
 * and "Tumbling windows").
 *
 * @param payload JSON text
 * @param sequenceNumbers the sequence numbers of the batch, in order
 */
export function readResponse(
  payload: string,
  sequenceNumbers: readonly string[],
  { reportsFailures, hasWindow }: ResponseRules,
): BatchResponse {
  const response = parse(payload)
  const state = hasWindow ? memberOf(response, 'state') : undefined
  if (hasWindow && state === undefined) {
    return failed('the response has no state, which a tumbling window needs')
  }
  const withState = state === undefined ? {} : { state }
  if (!reportsFailures) return { result: { kind: 'succeeded' }, ...withState }
  const { result, reason } = readFailures(response, sequenceNumbers)
  if (result.kind === 'failed') return failed(reason ?? 'all records are reported as failed')
  return { result, ...withState }
}

function readFailures(
  response: unknown,
  sequenceNumbers: readonly string[],
): Pick<BatchResponse, 'result' | 'reason'> {
  const failures = memberOf(response, 'batchItemFailures') ?? null
  // No response, an empty response and an empty list all mean that every record is done.
  if (failures === null) return { result: { kind: 'succeeded' } }
  if (!Array.isArray(failures)) return failed('batchItemFailures is not a list')
  const indexes: number[] = []
  for (const failure of failures as readonly unknown[]) {
    const identifier = memberOf(failure, 'itemIdentifier')
    if (typeof identifier !== 'string' || identifier === '') {
      return failed('an entry of batchItemFailures has no itemIdentifier')
    }
    const index = sequenceNumbers.indexOf(identifier)
    if (index < 0) return failed(`the itemIdentifier ${identifier} is not in the batch`)
    indexes.push(index)
  }
  if (indexes.length === 0) return { result: { kind: 'succeeded' } }
  // The lowest index is the checkpoint: the records from there on are handed over again.
  const index = Math.min(...indexes)
  return { result: index === 0 ? { kind: 'failed' } : { kind: 'failedFrom', index } }
}

const failed = (reason: string) => ({ result: { kind: 'failed' }, reason }) as const

function parse(payload: string): unknown {
  try {
    return JSON.parse(payload)
  } catch {
    return undefined
  }
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Readonly<Record<string, unknown>>)[name]
}
