import type { StoredMsg } from '@nats-io/jetstream'
import type { ClusterMetrics } from '../../telemetry/cluster-metrics.ts'
import type { NatsDependencies } from '../nats/connection.ts'
import { apiCodeOf, apiCodes, problemOfRequest } from '../nats/nats-problem.ts'
import type { Nats } from '../nats/open-nats.ts'
import { untilAnswered } from '../nats/until-answered.ts'
import { closedError, publishBatch } from './publish-batch.ts'
import type { BatchMessage, BatchOutcome } from './publish-batch.ts'

export interface LogDependencies extends NatsDependencies {
  /** Undefined: nothing is measured. */
  readonly metrics?: Pick<ClusterMetrics, 'logRetries'> | undefined
}

/** Requests to the leader of the stream. Those that wait reject when the log is closed. */
export interface LogRequests {
  /** Makes a request until it is answered. */
  ask<Answer>(request: () => Promise<Answer>): Promise<Answer>
  /** The last message of a subject, which may have wildcards, or null. */
  lastOf(subject: string): Promise<StoredMsg | null>
  /** Publishes once; whoever calls finds out what became of it. */
  publish(
    messages: readonly BatchMessage[],
    options: { readonly id: string; readonly timeoutMs: number },
  ): Promise<BatchOutcome>
  /** Tells of a batch without an answer. */
  waiting(reason: string): void
  /** The bytes in the stream; undefined without an answer. */
  bytesInStream(): Promise<number | undefined>
  /** Removes the messages of a subject up to a sequence, which goes, too. */
  removeUpTo(subject: string, sequence: number): Promise<void>
  /** Removes a message if it has this subject. */
  removeOne(subject: string, sequence: number): Promise<void>
}

export function createLogRequests(
  dependencies: LogDependencies,
  { connection, manager }: Pick<Nats, 'connection' | 'manager'>,
  { stream, closing }: { readonly stream: string; readonly closing: AbortSignal },
): LogRequests {
  const { streams } = manager
  const { metrics } = dependencies

  /** Counts a request that is made again. */
  async function counted<Answer>(request: () => Promise<Answer>): Promise<Answer> {
    try {
      return await request()
    } catch (thrown) {
      if (problemOfRequest(thrown).kind !== 'fault') metrics?.logRetries.inc()
      throw thrown
    }
  }

  const requests: LogRequests = {
    async ask(request) {
      const what = `waiting for the leader of stream ${stream}, or it is gone`
      try {
        return await untilAnswered(dependencies, () => counted(request), what, closing)
      } catch (thrown) {
        throw closing.aborted ? closedError(thrown) : thrown
      }
    },
    lastOf: (subject) => requests.ask(() => streams.getMessage(stream, { last_by_subj: subject })),
    publish: (messages, options) => publishBatch(connection, messages, options),
    waiting(reason) {
      metrics?.logRetries.inc()
      const fields = { stream, reason }
      dependencies.limitedLog.warn('append', fields, 'the log of the cluster does not answer')
    },
    async bytesInStream() {
      try {
        return (await streams.info(stream)).state.bytes
      } catch {
        return undefined
      }
    },
    async removeUpTo(subject, sequence) {
      // Up to the sequence that is named, which itself stays.
      const options = { filter: subject, seq: sequence + 1 }
      await requests.ask(() => streams.purge(stream, options))
    },
    async removeOne(subject, sequence) {
      const message = await requests.ask(() => streams.getMessage(stream, { seq: sequence }))
      if (message?.subject !== subject) return
      await requests.ask(async () => {
        try {
          await streams.deleteMessage(stream, sequence, false)
        } catch (thrown) {
          // An attempt without an answer may have removed it.
          if (apiCodeOf(thrown) !== apiCodes.noSuchSequence) throw thrown
        }
      })
    },
  }
  return requests
}
