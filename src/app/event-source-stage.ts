import type { KinesisAccess } from '../consumers/kinesis-access.ts'
import {
  checkpointFolderName,
  createEventSourceMappings,
} from '../event-source/event-source-mappings.ts'
import type { EventSourceMappings } from '../event-source/event-source-mappings.ts'
import type { SendFailure } from '../event-source/invocation-context.ts'
import type { DataFolder } from '../storage/data-folder.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { LabStage } from './lab-stage.ts'
import type { TemplateStage } from './template-stage.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { BatchSpans } from '../traces/message-traces.ts'

/** Prints the records of the sample rule. */
const sampleMapping = Object.freeze({
  functionName: 'print_readings',
  streamName: 'hot-devices',
  module: new URL('../../functions/print_readings.mjs', import.meta.url),
})

interface EventSourceStageDependencies extends AppDependencies {
  readonly metrics: Metrics
}

interface EventSourceStageOptions {
  /** In the lab: sends documents about given-up records to the destinations of mappings. */
  readonly sendFailure: SendFailure | undefined
  /** Undefined: no traces are made. */
  readonly batchSpans: BatchSpans | undefined
  readonly folder: Pick<DataFolder, 'hasMade' | 'noteMade'>
  readonly lab: LabStage | undefined
  readonly templates: TemplateStage | undefined
  /** For ARNs: `sluice start` may learn the account later. */
  readonly accountIdNow: () => string
}

/**
 * Starts the event source mappings of the data folder, or of the cluster. In the lab they read the
 * lab's Kinesis, their streams are created, and nothing is invoked in AWS.
 *
 * @throws SluiceError DataFolderDamaged, DataFolderUnusable (rejects)
 */
export async function openEventSourceStage(
  { config, logger, clock, beginsAnew, metrics, shared, ...given }: EventSourceStageDependencies,
  { folder, lab, templates, sendFailure, batchSpans, accountIdNow }: EventSourceStageOptions,
): Promise<EventSourceMappings> {
  const { dataDir, functionsDir, region, samplesMapping, redact } = config
  // Templates bring what is to be tried.
  const hasTemplates = given.templates !== undefined && given.templates.paths.length > 0
  const sample = samplesMapping && !hasTemplates ? sampleMapping : undefined
  const checkpointFile = { wasMade: folder.hasMade(checkpointFolderName), beginsAnew }
  const common = { dataDir, functionsDir, region, sample, checkpointFile }
  const hidesReasons = redact.length > 0
  // A lab has a Kinesis of its own, so its mappings are its own as well.
  const openMappings = lab ? undefined : shared?.openMappings
  const observed = { clock, logger, metrics, batchSpans, hidesReasons, openMappings }
  const mappings = lab
    ? await createEventSourceMappings(
        {
          ...observed,
          sendFailure,
          makeStream: (streamArn) => lab.ensureStream(streamArn),
        },
        {
          ...common,
          heldFunctions: templates?.functions,
          get accountId() {
            return accountIdNow()
          },
          kinesis: accessTo(lab, region),
          invokesAws: false,
        },
      )
    : await createEventSourceMappings(observed, {
        ...common,
        get accountId() {
          return accountIdNow()
        },
        kinesis: { region },
        invokesAws: true,
      })
  // Those of a cluster are in none of its folders.
  if (!openMappings) await folder.noteMade(checkpointFolderName)
  await templates?.holdMappings(mappings)
  mappings.start()
  return mappings
}

function accessTo({ access }: LabStage, region: string): KinesisAccess {
  const { kinesisEndpoint: endpoint, baseCredentials: credentials } = access
  return { region, ...(endpoint && { endpoint }), ...(credentials && { credentials }) }
}
