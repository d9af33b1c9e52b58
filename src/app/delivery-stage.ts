import { existsSync } from 'node:fs'
import path from 'node:path'
import { createAwsCalls } from '../aws/aws-calls.ts'
import type { AwsCalls } from '../aws/aws-calls.ts'
import type { ServiceSender } from '../aws/call/service-sender.ts'
import type { HttpAccess } from '../aws/http/http-access.ts'
import { createHttpHosts } from '../aws/http/http-hosts.ts'
import type { HttpHosts } from '../aws/http/http-hosts.ts'
import { createHttpPoster } from '../aws/http/http-poster.ts'
import type { HttpPoster } from '../aws/http/http-poster.ts'
import type { OnGivenUp } from '../delivery/outcome/giving-up.ts'
import type { RecordObservers } from '../delivery/outcome/watch-records.ts'
import { createProducer } from '../delivery/producer.ts'
import type { CallsOfDestinations } from '../delivery/transport.ts'
import type { FunctionEvents } from '../event-source/functions/function-api.ts'
import type { HeldFunctions } from '../event-source/functions/held-functions.ts'
import { createKafkaSenders } from '../kafka/kafka-senders.ts'
import { createGuardedLookup } from '../lab/calls/emulator-access.ts'
import { createEndpointSenders } from '../lab/calls/endpoint-senders.ts'
import { createFailureDestinations } from '../lab/calls/failure-destinations.ts'
import { createLabActions, createRecordedNote } from '../lab/calls/lab-actions.ts'
import { createRecordedCalls } from '../lab/calls/recorded-calls.ts'
import { createLabSenders } from '../lab/calls/lab-senders.ts'
import { startLab } from './lab-stage.ts'
import type { LabStage } from './lab-stage.ts'
import { openDataFolder } from '../storage/data-folder.ts'
import type { DataFolder } from '../storage/data-folder.ts'
import { createManagedOutbox } from '../outbox/managed-outbox.ts'
import type { ManagedOutbox, ReplayingEngine } from '../outbox/managed-outbox.ts'
import { openOutbox, outboxFolderName } from '../outbox/outbox.ts'
import type { Outbox, ServiceDestination } from '../outbox/outbox.ts'
import type { CallExternal } from '../sql/sql.ts'
import { createMetrics } from '../telemetry/telemetry.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { Redaction } from '../redaction/redaction.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { LanesStage } from './cluster/lanes-stage.ts'
import type { Drain, Stages } from './stages.ts'

/** Builds the way from the disk to the stream, before any message can be accepted. */
export async function startDeliveryStage(
  { config, logger, clock, beginsAnew, records }: AppDependencies,
  metrics: Metrics,
  stages: Stages,
  {
    drain,
    onGivenUp,
    hasRule,
    disabledReason,
    influxdbOf,
    functions,
    heldFunctions,
    callExternal,
    observersOf,
    redaction,
  }: {
    readonly drain: Drain
    readonly redaction: Redaction | undefined
    readonly observersOf: (outbox: Pick<Outbox, 'sourceOf'>) => RecordObservers
    readonly onGivenUp: OnGivenUp
    readonly hasRule: (ruleName: string) => boolean
    /** What the destinations of HTTP and InfluxDB actions allow; see HttpAccess. */
    readonly disabledReason: HttpAccess['disabledReason']
    readonly influxdbOf: HttpAccess['influxdbOf']
    /** The functions of the folder, which `lambda` actions of the lab invoke. */
    readonly functions: FunctionEvents
    /** The functions of templates. */
    readonly heldFunctions: Pick<HeldFunctions, 'has'> | undefined
    /** Reads the secrets of `kafka` actions. */
    readonly callExternal: CallExternal
  },
) {
  const folder = await openFolder({ config, logger }, stages)
  const lab =
    config.mode === 'lab'
      ? await stages.open(
          'lab',
          () => startLab({ config, logger }),
          (it) => it.close(),
        )
      : undefined
  const outboxParts = { config, logger, clock, beginsAnew, metrics, folder, hasRule }
  const { outbox, lanes } = await openRecordsOf({ ...outboxParts, records, drain }, stages)
  const endpoints = openEndpoints({ config, clock }, stages)
  const http = { poster: endpoints.httpPoster, disabledReason, influxdbOf, clock }
  const aws = stages.add(callsOf({ config, clock, logger, http }, lab), (it) => it.close())
  metrics.credentialsAge.readFrom(() => credentialsAges(aws))
  const lacking = { config, clock, logger, heldFunctions, http, redaction, ...endpoints }
  const { emulators, ...recorded } = recordCalls(lacking, stages)
  const shared = { outbox, clock, logger }
  const services = { ...shared, ...recorded, redaction, aws, emulators, callExternal, functions }
  const producer = stages.add(
    createProducer({
      ...shared,
      ...guarded(lanes, {
        callsFor: (destination) => aws.callsFor(destination),
        senderFor: serviceSenders(config, stages, services),
      }),
      onGivenUp,
      metrics,
      ...observersOf(outbox),
      makeStream: lab && ((destination) => lab.ensureStreamOf(destination)),
    }),
    (it) => it.stop({ drainMs: drain.leftMs() }),
  )
  const manage = (engine: ReplayingEngine): ManagedOutbox => {
    const parts = { engine, deliveryOf: producer.stateOf }
    return lanes?.manage(parts) ?? createManagedOutbox({ ...parts, outbox })
  }
  const seen = { sentStreams: producer.streams, inspection: lab?.inspection, lanes, manage }
  return { folder, lab, outbox, aws, producer, endpoints, ...seen, ...statusOf(lanes), ...recorded }
}

const statusOf = (lanes: LanesStage | undefined) => ({ clusterStatus: lanes?.status })

/** The outbox of the data folder; in a cluster, what this node has of the log in its place. */
async function openRecordsOf(
  dependencies: OutboxParts & { readonly drain: Drain },
  stages: Stages,
): Promise<{ readonly outbox: Outbox; readonly lanes?: LanesStage }> {
  const { records, folder, logger, clock } = dependencies
  if (records === undefined) return { outbox: await openOutboxOf(dependencies, stages) }
  const { openLanesStage, requireEmpty } = await import('./cluster/lanes-stage.ts')
  const { directory } = folder
  if (existsSync(path.join(directory, outboxFolderName))) {
    const earlier = await openOutbox(
      // Its counts are not those of the cluster.
      { directory, metrics: createMetrics(), logger, clock },
      { file: { wasMade: folder.hasMade(outboxFolderName) } },
    )
    try {
      requireEmpty(earlier, directory)
    } finally {
      await earlier.close()
    }
  }
  const lanes = await openLanesStage(
    dependencies,
    { ...dependencies, ...records, directory },
    stages,
  )
  return { outbox: lanes.outbox, lanes }
}

/** Lets no call begin with records of lanes that other nodes deliver. */
function guarded(lanes: LanesStage | undefined, calls: CallsOfDestinations): CallsOfDestinations {
  if (lanes === undefined) return calls
  return {
    callsFor: (destination) => lanes.guardCalls(calls.callsFor(destination)),
    senderFor: (destination) => lanes.guardSender(calls.senderFor(destination)),
  }
}

function* credentialsAges(aws: Pick<AwsCalls, 'credentialsAges'>) {
  for (const { roleArn, ageMs } of aws.credentialsAges()) {
    yield { labels: { role: roleArn }, value: ageMs / 1_000 }
  }
}

/** What becomes of calls for services that the lab does not have. */
function recordCalls(
  {
    config,
    clock,
    logger,
    heldFunctions,
    httpHosts,
    http,
    redaction,
  }: Pick<AppDependencies, 'config' | 'clock' | 'logger'> &
    Endpoints & {
      readonly heldFunctions: Pick<HeldFunctions, 'has'> | undefined
      readonly http: HttpAccess
      readonly redaction: Redaction | undefined
    },
  stages: Stages,
) {
  const labCalls = createRecordedCalls()
  const { functionsDir } = config
  const labActions =
    config.labActions &&
    createLabActions(config.labActions, { functionsDir, heldFunctions, ...httpHosts })
  const noteRecorded = labActions && createRecordedNote(labActions, logger)
  const emulators =
    labActions &&
    stages.add(createEndpointSenders({ ...labActions, ...httpHosts, http }), (it) => it.close())
  const recording = { calls: labCalls, redaction, clock, logger }
  const sendFailure = emulators && createFailureDestinations({ ...recording, emulators }, config)
  return { labCalls, labActions, noteRecorded, emulators, sendFailure }
}

/** Makes the senders of all services but Kinesis, and closes their connections at the end. */
function serviceSenders(
  { functionsDir }: Pick<AppDependencies['config'], 'functionsDir'>,
  stages: Stages,
  {
    aws,
    callExternal,
    ...ofLab
  }: Pick<ReturnType<typeof recordCalls>, 'labCalls' | 'labActions' | 'emulators'> &
    Pick<AppDependencies, 'logger' | 'clock'> & {
      readonly redaction: Redaction | undefined
      readonly aws: AwsCalls
      readonly callExternal: CallExternal
      readonly outbox: Outbox
      readonly functions: FunctionEvents
    },
): (destination: ServiceDestination) => ServiceSender {
  const { clock, labActions, emulators, labCalls: calls } = ofLab
  const lookup = labActions && createGuardedLookup(labActions.endpointHosts)
  const kafka = stages.add(createKafkaSenders({ clock, readSecret: callExternal, lookup }), (it) =>
    it.close(),
  )
  if (labActions === undefined || emulators === undefined) {
    return (destination) => (destination.kind === 'kafka' ? kafka : aws).senderFor(destination)
  }
  return createLabSenders({ ...ofLab, calls, functionsDir, emulators, kafka, labActions })
}

interface OutboxParts extends AppDependencies {
  readonly metrics: Metrics
  readonly folder: DataFolder
  readonly hasRule: (ruleName: string) => boolean
}

async function openOutboxOf(
  { config, logger, clock, beginsAnew, metrics, folder, hasRule }: OutboxParts,
  stages: Stages,
): Promise<Outbox> {
  const { directory } = folder
  const outbox = await stages.open(
    'outbox',
    () =>
      openOutbox(
        { directory, metrics, logger, clock },
        {
          bytesMax: config.outboxBytesMax,
          hasRule,
          file: { wasMade: folder.hasMade(outboxFolderName), beginsAnew },
        },
      ),
    (it) => it.close(),
  )
  await folder.noteMade(outboxFolderName)
  return outbox
}

/** What the HTTP action may call, and the client that calls it. */
export interface Endpoints {
  readonly httpHosts: HttpHosts
  readonly httpPoster: HttpPoster
}

function openEndpoints(
  { config, clock }: Pick<AppDependencies, 'config' | 'clock'>,
  stages: Stages,
): Endpoints {
  const { ruleHosts: hosts, mode } = config
  const httpHosts = createHttpHosts({ hosts, isLab: mode === 'lab' })
  const httpPoster = stages.add(createHttpPoster({ clock }, httpHosts.guard), (it) => it.close())
  return { httpHosts, httpPoster }
}

/**
 * Opens the data folder. A folder of an earlier release has no owner yet: this process becomes it.
 */
async function openFolder(
  { config, logger }: Pick<AppDependencies, 'config' | 'logger'>,
  stages: Stages,
): Promise<DataFolder> {
  const owner = config.mode === 'lab' ? 'lab' : 'engine'
  const folder = await stages.open(
    'data folder',
    () => openDataFolder(config.dataDir, owner),
    (it) => it.close(),
  )
  if (folder.wasUnmarked) {
    const { directory } = folder
    logger.warn(
      { directory, owner },
      owner === 'lab'
        ? 'the data folder did not say whose it is: from now on it belongs to the lab'
        : 'the data folder did not say whose it is: from now on it belongs to `sluice start`, ' +
            'and what it holds is delivered to AWS',
    )
  }
  return folder
}

function callsOf(
  {
    config,
    clock,
    logger,
    http,
  }: Pick<AppDependencies, 'config' | 'clock' | 'logger'> & { readonly http: HttpAccess },
  lab: LabStage | undefined,
): AwsCalls {
  const { ruleHosts } = config
  return createAwsCalls({ clock, logger }, { ...(lab?.access ?? { ruleHosts }), http })
}
