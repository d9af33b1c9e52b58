import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { createEventInvocations } from './event-invocations.ts'
import { functionConfiguration } from './function-configuration.ts'
import { parseFunctionName } from './function-name.ts'
import type { FunctionName } from './function-name.ts'
import type { LocalFunctions } from './functions.ts'
import type { InvokeOutcome, LambdaFunction } from './lambda-function.ts'
import { memoryMiB } from './local-function.ts'

/**
 * Lambda's operations on the functions of the folder. A version or an alias is the function itself.
 *
 * @throws SluiceError with Lambda's codes; ValidationException for what is no name of a function
 */
export interface FunctionApi {
  get(functionName: string, qualifier?: string): Promise<FunctionConfiguration>
  list(page: { readonly marker: string; readonly maxItems: number }): Promise<{
    readonly functions: readonly FunctionConfiguration[]
    readonly nextMarker?: string | undefined
  }>
  /** Invokes the function and waits for its response. @param payload JSON text */
  invoke(functionName: string, payload: string, call: SynchronousCall): Promise<Invoked>
  /**
   * Takes an event for an invocation that nobody waits for.
   * @throws SluiceError TooManyRequestsException when too many wait (rejects)
   */
  invokeLater(functionName: string, payload: string): Promise<void>
  /** @throws SluiceError ResourceNotFoundException (rejects) */
  checkExists(functionName: string): Promise<void>
}

/** Asynchronous invocations of those that keep the event until the function has run. */
export interface FunctionEvents {
  /**
   * Invokes the function for an event, now. When it fails, it is invoked twice more, later.
   *
   * @returns why the function was not invoked; the caller tries again then
   * @throws SluiceError ResourceNotFoundException (rejects)
   */
  invokeForEvent(functionName: string, payload: string): Promise<string | undefined>
}

type FunctionConfiguration = Readonly<Record<string, unknown>>

interface SynchronousCall {
  readonly wantsLog: boolean
  /** JSON text. */
  readonly clientContext?: string | undefined
  readonly hasLeft?: (() => boolean) | undefined
  /** Aborted when the caller leaves: a call that waits for an instance waits no longer then. */
  readonly leaving?: AbortSignal | undefined
}

interface Invoked {
  /** JSON text: the response, or the error of the function. */
  readonly payload: string
  readonly hasFailed: boolean
  /** The end of the log, when it is wanted. */
  readonly log?: string | undefined
}

interface FunctionApiOptions {
  /** Read at each use: `sluice start` may learn the account later. */
  readonly accountId: string
}

const tailBytesMax = 4_096

export function createFunctionApi(
  dependencies: {
    readonly clock: Clock
    readonly logger: Pick<Logger, 'warn' | 'error'>
    readonly functions: LocalFunctions
  },
  options: FunctionApiOptions,
): FunctionApi & FunctionEvents & { stop(): void } {
  const { clock, functions } = dependencies
  const events = createEventInvocations(dependencies)
  const stopping = new AbortController()

  async function configurationOf(name: FunctionName): Promise<FunctionConfiguration> {
    const described = await functions.describe(name)
    return functionConfiguration(described, name.qualifier, options.accountId)
  }

  return {
    get(functionName, qualifier) {
      const name = parseFunctionName(functionName)
      return configurationOf({ ...name, qualifier: qualifier ?? name.qualifier })
    },
    async list({ marker, maxItems }) {
      const names = (await functions.names()).filter((name) => name > marker)
      const page = names.slice(0, maxItems)
      return {
        functions: await Promise.all(page.map((name) => configurationOf({ name }))),
        nextMarker: names.length > page.length ? page.at(-1) : undefined,
      }
    },
    async invoke(functionName, payload, call) {
      const found = await functions.findLocal(parseFunctionName(functionName))
      const sinceMs = clock.monotonicMs()
      const outcome = await found.invoke(payload, stopping.signal, call)
      if (outcome.kind === 'notInvoked') {
        throw new SluiceError(
          'ServiceUnavailableException',
          `The function was not invoked: ${outcome.reason}`,
        )
      }
      const durationMs = clock.monotonicMs() - sinceMs
      return {
        payload: outcome.kind === 'returned' ? outcome.payload : errorPayload(outcome),
        hasFailed: outcome.kind === 'failed',
        log: call.wantsLog ? logOf(outcome, durationMs) : undefined,
      }
    },
    async invokeLater(functionName, payload) {
      const found = await functions.findLocal(parseFunctionName(functionName))
      if (events.add(eventOf(functionName, payload, found))) return
      throw new SluiceError('TooManyRequestsException', 'Rate Exceeded.')
    },
    async invokeForEvent(functionName, payload) {
      const found = await functions.findLocal(parseFunctionName(functionName))
      const outcome = await events.begin(eventOf(functionName, payload, found))
      return outcome.kind === 'notInvoked' ? outcome.reason : undefined
    },
    async checkExists(functionName) {
      await functions.findLocal(parseFunctionName(functionName))
    },
    stop() {
      events.stop()
      stopping.abort()
    },
  }
}

const eventOf = (functionName: string, payload: string, found: LambdaFunction) => ({
  functionName,
  sizeBytes: payload.length,
  invoke: (signal: AbortSignal) => found.invoke(payload, signal),
})

type Answered = Exclude<InvokeOutcome, { kind: 'notInvoked' }>

function errorPayload({
  errorType,
  errorMessage,
  trace,
}: Extract<InvokeOutcome, { kind: 'failed' }>) {
  return JSON.stringify({ errorType, errorMessage, ...(trace && { trace }) })
}

/** The lines that Lambda writes around what a function prints, cut to the last 4 KB. */
function logOf({ requestId, log = '' }: Answered, durationMs: number): string {
  const printed = log === '' || log.endsWith('\n') ? log : `${log}\n`
  const text =
    `START RequestId: ${requestId} Version: $LATEST\n${printed}END RequestId: ${requestId}\n` +
    `REPORT RequestId: ${requestId}\tDuration: ${durationMs.toFixed(2)} ms\t` +
    `Billed Duration: ${Math.ceil(durationMs)} ms\tMemory Size: ${memoryMiB} MB\n`
  return Buffer.from(text).subarray(-tailBytesMax).toString()
}
