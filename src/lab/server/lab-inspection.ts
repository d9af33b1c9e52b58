import type { Clock } from '../../base/clock.ts'
import { SluiceError } from '../../base/errors.ts'
import type { FaultList } from '../faults/fault-list.ts'
import type { ListedFault } from '../faults/faults.ts'
import { createRedaction } from '../../redaction/redaction.ts'
import { streamArnOf } from '../streams/namespace.ts'
import type { Namespace } from '../streams/namespace.ts'
import { readRecordPage } from '../streams/record-page.ts'
import type { RecordPage, RecordQuery } from '../streams/record-page.ts'
import type { StreamNamespaces } from '../streams/stream-namespaces.ts'
import { openShardsOf, viewOfStream, viewWithShards } from '../streams/stream-view.ts'
import type { StreamView, StreamWithShards } from '../streams/stream-view.ts'
import type { Stream } from '../streams/stream.ts'

/**
 * What the engine's HTTP API asks the lab, beside the calls of Kinesis and STS: no fault rule and
 * no limit applies to it. Each question and each answer can be sent between threads.
 */
export interface LabInspection {
  faults(): readonly ListedFault[]
  /** @throws SluiceError InvalidRequestException, LimitExceededException */
  addFault(rule: unknown): ListedFault
  /** @throws SluiceError ResourceNotFoundException */
  removeFault(id: string): void
  removeFaults(): void
  streams(): readonly StreamView[]
  /**
   * @param redacted names of members of the data whose values partition keys do not show
   * @throws SluiceError ResourceNotFoundException
   */
  stream(reference: LabStreamReference, redacted?: readonly string[]): StreamWithShards
  /**
   * The hash keys of its open shards, for which no record is looked at.
   * @throws SluiceError ResourceNotFoundException
   */
  openShards(reference: LabStreamReference): ReturnType<typeof openShardsOf>
  /** @throws SluiceError ResourceNotFoundException, InvalidRequestException */
  records(reference: LabStreamReference, query: RecordQuery): RecordPage
}

/** A stream by its ARN or else by its name, in the account and the region of the lab at first. */
interface LabStreamReference {
  readonly streamName: string
  readonly streamArn?: string | undefined
}

interface LabInspectionDependencies {
  readonly clock: Clock
  readonly faults: FaultList
  readonly namespaces: StreamNamespaces
}

export function createLabInspection(
  { clock, faults, namespaces }: LabInspectionDependencies,
  home: Namespace,
): LabInspection {
  function find({ streamName, streamArn }: LabStreamReference): Stream {
    const all = namespaces.all()
    const homeArn = streamArn ?? streamArnOf(home, streamName)
    const stream =
      all.find(({ arn }) => arn === homeArn) ??
      (streamArn === undefined ? all.find(({ name }) => name === streamName) : undefined)
    if (!stream) {
      const message = `there is no stream ${streamArn ?? streamName} in the lab`
      throw new SluiceError('ResourceNotFoundException', message)
    }
    namespaces.trim(stream)
    return stream
  }

  return {
    faults: () => faults.all(),
    addFault: (rule) => faults.add(rule),
    removeFault: (id) => faults.remove(id),
    removeFaults: () => faults.clear(),
    streams() {
      const nowMs = clock.wallMs()
      return namespaces.all().map((stream) => {
        namespaces.trim(stream)
        return viewOfStream(stream, nowMs)
      })
    },
    stream: (reference, redacted = []) =>
      viewWithShards(find(reference), clock.wallMs(), createRedaction(redacted)),
    openShards: (reference) => openShardsOf(find(reference)),
    records: (reference, query) => readRecordPage(find(reference), query, clock.wallMs()),
  }
}
