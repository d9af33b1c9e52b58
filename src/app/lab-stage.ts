import { labAccountId } from '../config/config.ts'
import type { Config } from '../config/config.ts'
import type { AwsCallsOptions } from '../aws/aws-calls.ts'
import { startLabWorker } from '../lab/worker/lab-worker.ts'
import type { InspectionOfThread } from '../lab/worker/lab-worker.ts'
import { statusDurationsOf } from '../lab/streams/stream-statuses.ts'
import { streamArnOf } from '../lab/streams/namespace.ts'
import type { StreamDestination } from '../outbox/outbox.ts'
import type { CompileRule } from '../rules/compile-rule.ts'
import { endpointOf } from './running-engine.ts'
import type { Logger } from '../telemetry/telemetry.ts'

/** The lab adds a local Kinesis and STS to the engine, and streams for its rules. */
export interface LabStage {
  readonly port: number
  /** AWS clients with these options reach the lab and nothing else. */
  readonly access: AwsCallsOptions
  /** Creates the stream with this ARN unless it exists. */
  ensureStream(streamArn: string): Promise<void>
  /** The same for the stream of a destination. */
  ensureStreamOf(destination: StreamDestination): Promise<void>
  /** What people see of the lab and change in it. */
  readonly inspection: InspectionOfThread
  /** Creates the stream with so many shards, or gives it so many. Rejects with the reason. */
  setShardCount(streamName: string, shardCount: number): Promise<void>
  /** A compiler that also creates the streams that a rule names without a template. */
  withStreams(compile: CompileRule): CompileRule
  /** Resolves when the streams requested so far exist. */
  streamsMade(): Promise<void>
  close(): Promise<void>
}

const labCredentials = { accessKeyId: 'sluice-lab', secretAccessKey: 'sluice-lab' }

/** @throws SluiceError PortUnavailable (rejects) */
export async function startLab(options: {
  readonly config: Config
  readonly logger: Logger
}): Promise<LabStage> {
  const { config, logger } = options
  const accountId = config.accountId ?? labAccountId
  const worker = await startLabWorker({
    ...config.lab,
    region: config.region,
    accountId,
    insecure: config.insecure,
    statusMs: statusDurationsOf(config.lab.statusMs),
    strict: config.lab.isStrict ? labCredentials : undefined,
    logger,
  })
  const endpoint = endpointOf(worker)
  const pending = new Set<Promise<void>>()
  const ensureStreamOf = ({ region, streamName, streamArn }: StreamDestination) =>
    worker.ensureStream(streamArn ?? streamArnOf({ accountId, region }, streamName))
  const makeStream = (destination: StreamDestination) => {
    const { streamName: name } = destination
    const made = ensureStreamOf(destination)
      .catch((thrown: unknown) => {
        // Nothing is lost: a delivery to a missing stream creates it, too.
        logger.warn({ err: thrown, stream: name }, `the lab cannot make the stream ${name}`)
      })
      .finally(() => pending.delete(made))
    pending.add(made)
  }
  return {
    port: worker.port,
    access: {
      kinesisEndpoint: endpoint,
      stsEndpoint: endpoint,
      baseCredentials: labCredentials,
    },
    ensureStream: (streamArn) => worker.ensureStream(streamArn),
    ensureStreamOf,
    inspection: worker.inspection,
    setShardCount: (name, shardCount) =>
      worker.setShardCount(streamArnOf({ accountId, region: config.region }, name), shardCount),
    withStreams: (compile) => (definition) => {
      const rule = compile(definition)
      for (const action of [...rule.actions, rule.errorAction]) {
        action?.constantStreams.forEach(makeStream)
      }
      return rule
    },
    async streamsMade() {
      await Promise.all(pending)
    },
    close: () => worker.close(),
  }
}
