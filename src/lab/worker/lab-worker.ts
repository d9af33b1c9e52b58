import type { Worker } from 'node:worker_threads'
import { systemClock } from '../../base/clock.ts'
import { SluiceError, messageOf } from '../../base/errors.ts'
import type { Logger } from '../../telemetry/telemetry.ts'
import { startThread } from '../../base/start-thread.ts'
import type { LabInspection } from '../server/lab-inspection.ts'
import type { LabCommand, LabFailure, LabReport, LabWorkerData } from './lab-worker-messages.ts'

/** The lab in a thread of its own, so that it does not slow down the engine's thread. */
interface LabWorker {
  readonly host: string
  readonly port: number
  /**
   * Creates the stream unless it exists.
   * @param stream its ARN, or its name in the account and the region of the lab
   * @throws SluiceError InternalException (rejects) when that fails, or the lab has ended
   */
  ensureStream(stream: string): Promise<void>
  /**
   * Creates the stream with so many shards, or gives it so many.
   * @throws SluiceError InternalException (rejects), with the reason
   */
  setShardCount(stream: string, shardCount: number): Promise<void>
  /** What people see of the lab and change in it. Rejects as `LabInspection` throws. */
  readonly inspection: InspectionOfThread
  /** Closes the connections and the server, and ends the thread. */
  close(): Promise<void>
}

/** `LabInspection` from another thread. */
export type InspectionOfThread = {
  readonly [Question in keyof LabInspection]: (
    ...given: Parameters<LabInspection[Question]>
  ) => Promise<ReturnType<LabInspection[Question]>>
}

interface LabWorkerOptions extends LabWorkerData {
  readonly logger: Logger
  /** Called when the thread ends unexpectedly, which is also logged. */
  readonly onExit?: (error: SluiceError) => void
}

/** A thread that has not ended by then is terminated. */
const closeTimeoutMs = 2_000

/**
 * Starts the lab in a worker thread.
 *
 * @throws SluiceError PortUnavailable (rejects) when it cannot listen; InternalException when the
 *   thread cannot start
 */
export async function startLabWorker(options: LabWorkerOptions): Promise<LabWorker> {
  const { logger, onExit, ...data } = options
  const entry = new URL('./lab-worker-main.ts', import.meta.url)
  const worker = startThread(entry, { workerData: data })
  const requests = createRequests(worker)
  let isRunning = false
  let cause: unknown
  worker.on('error', (error) => {
    cause = error
  })
  const ended = new Promise<void>((resolve) => {
    worker.once('exit', () => {
      const reason = cause === undefined ? '' : `: ${messageOf(cause)}`
      const error = new SluiceError('InternalException', `the thread of the lab ended${reason}`, {
        cause,
      })
      requests.rejectAll(error)
      resolve()
      // Before `ready` the start rejects with the error; after `close` the exit is expected.
      if (!isRunning) return
      logger.error({ err: cause }, error.message)
      onExit?.(error)
    })
  })

  worker.on('message', (report: LabReport) => {
    if (report.kind === 'log') relay(logger, report.line)
    else requests.answer(report)
  })
  const port = await requests.ready
  isRunning = true
  const run = async (command: (id: number) => LabCommand) => void (await requests.send(command))

  return {
    host: options.host,
    port,
    ensureStream: (stream) => run((id) => ({ kind: 'ensureStream', id, stream })),
    setShardCount: (stream, shardCount) =>
      run((id) => ({ kind: 'setShardCount', id, stream, shardCount })),
    inspection: inspectionWith(requests),
    async close() {
      isRunning = false
      // The answer does not matter, only the end of the thread.
      requests.send((id) => ({ kind: 'close', id })).catch(() => undefined)
      const cancel = systemClock.after(closeTimeoutMs, () => void worker.terminate())
      await ended
      cancel()
    },
  }
}

interface Requests {
  /** The port, once the thread listens. */
  readonly ready: Promise<number>
  /**
   * Resolves with the answer when the thread has executed it. The caller bounds the number of
   * requests.
   */
  send(command: (id: number) => LabCommand): Promise<unknown>
  answer(report: Exclude<LabReport, { kind: 'log' }>): void
  rejectAll(error: SluiceError): void
}

/** The id of the request that waits for the start of the thread. */
const startId = 0

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: SluiceError) => void
}

function createRequests(worker: Worker): Requests {
  const waiting = new Map<number, Waiting>()
  let lastId = startId
  let endedBy: SluiceError | undefined

  const wait = (id: number) =>
    new Promise<unknown>((resolve, reject) => {
      if (endedBy) return reject(endedBy)
      waiting.set(id, { resolve, reject })
    })
  const take = (id: number): Waiting | undefined => {
    const request = waiting.get(id)
    waiting.delete(id)
    return request
  }
  return {
    ready: wait(startId) as Promise<number>,
    async send(command) {
      const id = ++lastId
      const done = wait(id)
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
      worker.postMessage(command(id))
      return done
    },
    answer(report) {
      if (report.kind === 'ready') take(startId)?.resolve(report.port)
      else if (report.kind === 'failed') take(startId)?.reject(errorOf(report.failure))
      else if (report.failure) take(report.id)?.reject(errorOf(report.failure))
      else take(report.id)?.resolve(report.answer)
    },
    rejectAll(error) {
      endedBy = error
      for (const { reject } of waiting.values()) reject(error)
      waiting.clear()
    },
  }
}

function inspectionWith(requests: Pick<Requests, 'send'>): InspectionOfThread {
  const ask =
    <Question extends keyof LabInspection>(question: Question) =>
    (...given: Parameters<LabInspection[Question]>) =>
      requests.send((id) => ({ kind: 'inspect', id, question, given })) as Promise<
        ReturnType<LabInspection[Question]>
      >
  return {
    faults: ask('faults'),
    addFault: ask('addFault'),
    removeFault: ask('removeFault'),
    removeFaults: ask('removeFaults'),
    streams: ask('streams'),
    stream: ask('stream'),
    openShards: ask('openShards'),
    records: ask('records'),
  }
}

const errorOf = ({ code = 'InternalException', message }: LabFailure) =>
  new SluiceError(code, message)

/** Writes a log line of the lab's thread with this thread's logger, which adds the time. */
function relay(logger: Logger, line: Readonly<Record<string, unknown>>): void {
  const { level, msg, time: _time, ...fields } = line
  const name = level === 'debug' || level === 'info' || level === 'warn' ? level : 'error'
  logger[name](fields, String(msg))
}
