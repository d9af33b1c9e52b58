import { randomUUID } from 'node:crypto'
import { createHttpServer } from '../http/http-server.ts'
import type { Config } from '../config/config.ts'
import { dependsOnAccount, openAccountStage } from './account-stage.ts'
import type { AccountStage } from './account-stage.ts'
import { createCountedFaults, healthOf } from './health.ts'
import { createEngine } from '../engine/engine.ts'
import { openDeviceStage, withShadows } from './device-stage.ts'
import { openEventSourceStage } from './event-source-stage.ts'
import { createAwsFunctions } from '../external/aws-functions.ts'
import { createLabExternals } from '../lab/calls/lab-externals.ts'
import type { FunctionApi } from '../event-source/functions/function-api.ts'
import type { EventSourceMappings } from '../event-source/event-source-mappings.ts'
import type { ResourceOwner } from '../identity/policies/resource-arn.ts'
import type { AwsCalls } from '../aws/aws-calls.ts'
import type { LabActions } from '../lab/calls/lab-actions.ts'
import type { LabStage } from './lab-stage.ts'
import type { MqttPorts, MqttStage } from './mqtt-stage.ts'
import type { SqlEnvironment } from '../sql/externals/document.ts'
import type { CallExternal } from '../sql/externals/external-request.ts'
import { removeRunningEngine, writeRunningEngine } from './running-engine.ts'
import { createLogLevels, createTimedLogLevel } from '../telemetry/log-levels.ts'
import type { TimedLogLevel } from '../telemetry/log-levels.ts'
import { createMetrics } from '../telemetry/telemetry.ts'
import type { Metrics } from '../telemetry/telemetry.ts'
import type { DataFolder } from '../storage/data-folder.ts'
import type { AppDependencies } from './app-dependencies.ts'
import type { LanesStage } from './cluster/lanes-stage.ts'
import { startDeliveryStage } from './delivery-stage.ts'
import type { Endpoints } from './delivery-stage.ts'
import { httpGuards, ofIngress, openKeys, roleProbe } from './http-stage.ts'
import { openRegistryStage, withRegistry } from './registry-stage.ts'
import { openRules, ruleCompiler } from './rule-stage.ts'
import type { CompiledRule } from '../rules/compile-rule.ts'
import type { RuleStore } from '../rules/rule-store.ts'
import { openDestinations } from './destination-stage.ts'
import { openTemplateStage } from './template-stage.ts'
import type { TemplateStage } from './template-stage.ts'
import { openObservers } from './observers.ts'
import { withSharedSources } from './with-shared-sources.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { createDrain, createStages } from './stages.ts'
import type { Drain, Stages } from './stages.ts'
import { openWaysIn } from './ways-in.ts'

/**
 * Composition root: builds every stage, from the end of a message's path to its beginning, so that
 * nothing is accepted before everything behind it runs. Stages stop in the opposite order.
 */
export interface App {
  readonly ports: AppPorts
  ruleCount(): number
  /** A rule to try: its filter, and a stream that it writes to. Undefined: no rule has a filter. */
  example(): RuleExample | undefined
  /** Resolves when everything that was accepted is delivered or given up. */
  readonly delivered: () => Promise<void>
  /** Stops accepting messages, waits for work in flight until the drain ends, and closes. */
  stop(): Promise<void>
}

export interface RuleExample {
  readonly topicFilter: string
  readonly streamName: string | undefined
}

export interface AppPorts extends MqttPorts {
  readonly http: number
  /** The port of the local Kinesis and STS, in the lab only. */
  readonly kinesis?: number | undefined
}

/**
 * Starts the engine; in mode `lab` with its own Kinesis and STS. The signal ends the start in
 * whichever stage it is, also in one that does not come to its end.
 *
 * @throws SluiceError DataFolderLocked, DataFolderOfAnother, DataFolderUnusable,
 *   DataFolderVersionUnsupported, PortUnavailable, RuleFileInvalid, IdentityFileInvalid; an
 *   AbortError when the signal ended the start; stages that had started are stopped again
 */
export async function startApp(
  dependencies: AppDependencies,
  stages: Stages = createStages(dependencies),
): Promise<App> {
  try {
    return await startStages(await withSharedSources(dependencies, stages), stages)
  } catch (thrown) {
    // The operator needs the first failure, not those that follow from it.
    await stages.stop().catch(() => undefined)
    throw thrown
  }
}

/** What the HTTP API shows of mappings and their functions. */
const ofEventSources = (mappings: EventSourceMappings) => ({
  eventSourceMappings: mappings,
  mappingBatches: (uuid: string) => mappings.recentBatches(uuid),
  lambdaFunctions: mappings.functions,
})

async function startStages(dependencies: AppDependencies, stages: Stages): Promise<App> {
  const { config, logger, clock, shared: cluster } = dependencies
  const metrics = createMetrics()
  let status: Parameters<typeof healthOf>[0] = 'starting'
  const drain = createDrain(clock, config.drainMs)
  const observers = await openObservers(dependencies, stages, drain, () => account.shownId())
  const watch = { logger, metrics, clock, ...observers.ofMessages }
  const templates = await openTemplates(dependencies, stages)
  const delivery = await startDeliveryStage(dependencies, metrics, stages, {
    drain,
    ...observers.ofDelivery,
    heldFunctions: templates?.functions,
    // The producer starts only after the engine is built.
    onGivenUp: (records) => engine.onGivenUp(records),
    hasRule: (ruleName) => rules.byName(ruleName) !== undefined,
    disabledReason: (confirmationUrl) => destinations.disabledReason(confirmationUrl),
    influxdbOf: (destinationArn) => destinations.influxdbOf(destinationArn),
    functions: { invokeForEvent: (...event) => mappings.functions.invokeForEvent(...event) },
    callExternal: (...request) => environment.callExternal(...request),
  })
  const { folder, lab, outbox, aws, producer, sendFailure, ...recorded } = delivery
  const account = await openAccountOf(dependencies, stages, { aws, ...folder })
  const { services, shadows } = await openDevices(dependencies, stages, folder)
  const registry = await openRegistryOf(dependencies, stages, { folder, account }, () => mqtt)
  const externals = externalFunctions(dependencies, stages, aws, () => mappings.functions)
  const here = withRegistry(registry, withShadows(shadows, externals))
  const environment = sqlEnvironment(account.owner, here)
  const ruleParts = { ...delivery, ...watch, account, templates, httpPort: () => ports.http }
  const { compile, destinations, rules } = await openRulesOf(dependencies, ruleParts, stages)

  const faults = createCountedFaults(metrics)
  const accessKeys = await openKeys({ ...dependencies, faults }, stages)
  const shared = { rules, destinations, outbox, environment, faults, ...recorded, ...watch }
  const engine = createEngine(
    {
      ...shared,
      services,
      // Messages arrive through the ingress only, so it is built before any is republished.
      distribute: (message, kept) => mqtt.ingress.distribute(message, kept),
    },
    { errorActionScope: config.errorActionScope },
  )
  const ofMappings = { metrics, folder, lab, account, drain, templates, sendFailure }
  const mappings = await startEventSources(dependencies, stages, { ...ofMappings, ...observers })
  const http = openHttp(config, stages, {
    ...shared,
    listener: dependencies.httpListener,
    outbox: delivery.manage(engine),
    compile,
    ...ofConfig(dependencies, stages, aws),
    engine,
    shadows,
    ...registry,
    ...ofEventSources(mappings),
    // The ingress is built later and stops earlier: HTTP answers until the end.
    ...ofIngress(config, { ingress: () => mqtt.ingress, ports: () => ports }),
    ...httpGuards(config, { accessKeys, account, faults }),
    health: () => healthOf(status, { ...shared, ...mqtt, account, mappings, upstream, cluster }),
  })
  const ofEngine = { ...dependencies, ...engine, ...account, folder, registry }
  const parts = { ...ofEngine, metrics, accessKeys, faults }
  const { mqtt, upstream } = await openWaysIn(parts, stages, drain)

  const listening = { http, mqtt, account, lanes: recorded.lanes, producer, lab, upstream }
  const isAccountNeeded = () => dependsOnAccount({ mqtt, accessKeys, rules })
  const ports = await listen(dependencies, stages, listening, isAccountNeeded)
  // Changes of templates end before what they change.
  if (templates) stages.add(templates.follow(), (it) => it.close())
  destinations.start()
  status = 'ok'
  return appOf({ ports, rules, producer }, () => {
    status = 'stopping'
    drain.start()
    return stages.stop()
  })
}

function logLevelOf({ logger, clock, config }: AppDependencies, stages: Stages): TimedLogLevel {
  const { logLevels: levels = createLogLevels(config.logLevel) } = logger
  return stages.add(createTimedLogLevel({ levels, logger, clock }), (it) => it.close())
}

function appOf(
  {
    ports,
    rules,
    producer,
  }: {
    readonly ports: AppPorts
    readonly rules: Pick<RuleStore, 'all'>
    readonly producer: { readonly idle: App['delivered'] }
  },
  stop: App['stop'],
): App {
  return {
    ports,
    ruleCount: () => rules.all().length,
    example: () => exampleOf(rules.all()),
    delivered: producer.idle,
    stop,
  }
}

/** Of the rules that clients can reach, one that writes to a stream comes first. */
function exampleOf(rules: readonly CompiledRule[]): RuleExample | undefined {
  const found = rules.flatMap(
    ({ disabled, statement: { topicFilter }, actions }): RuleExample[] => {
      if (disabled || topicFilter === undefined || topicFilter.startsWith('$')) return []
      const [stream] = actions.flatMap(({ constantStreams }) => constantStreams)
      return [{ topicFilter, streamName: stream?.streamName }]
    },
  )
  return found.find(({ streamName }) => streamName !== undefined) ?? found[0]
}

/** Reads the stack templates first: one that cannot be used is told at once. */
async function openTemplates(
  dependencies: AppDependencies,
  stages: Stages,
): Promise<TemplateStage | undefined> {
  if (dependencies.config.mode !== 'lab') return undefined
  return stages.open('templates', () => openTemplateStage(dependencies))
}

function openHttp(
  { http, insecure }: Config,
  stages: Stages,
  dependencies: Parameters<typeof createHttpServer>[0],
) {
  return stages.add(createHttpServer(dependencies, { ...http, insecure }), (it) => it.close())
}

/** Opens the rules, and before them the destinations that they ask for. */
async function openRulesOf(
  dependencies: AppDependencies,
  parts: Omit<Parameters<typeof openRules>[1], 'compile' | 'destinations'> & {
    readonly account: AccountStage
    readonly endpoints: Endpoints
    readonly aws: AwsCalls
    readonly labActions: LabActions | undefined
    readonly httpPort: () => number
  },
  stages: Stages,
) {
  const { account, labActions, endpoints, httpPort, aws } = parts
  const compile = await ruleCompiler(dependencies.config, account, labActions, endpoints.httpHosts)
  const places = { ...dependencies, ...endpoints, account, httpPort, aws }
  const destinations = await openDestinations(places, stages)
  const rules = await openRules(dependencies, { ...parts, compile, destinations }, stages)
  return { compile, destinations, rules }
}

/** Opens the ports: the one of HTTP first, so that health is served while the others wait. */
async function listen(
  { config }: AppDependencies,
  stages: Stages,
  {
    http,
    mqtt,
    account,
    lanes,
    producer,
    lab,
    upstream,
  }: {
    readonly http: Pick<ReturnType<typeof createHttpServer>, 'listen'>
    readonly mqtt: MqttStage
    readonly account: AccountStage
    readonly lanes: Pick<LanesStage, 'start'> | undefined
    readonly producer: { start(): void }
    readonly lab: LabStage | undefined
    readonly upstream: Upstream | undefined
  },
  isAccountNeeded: () => boolean,
): Promise<AppPorts> {
  const httpPort = await stages.open('http port', () => http.listen())
  await stages.open('account', () => account.settled(isAccountNeeded, httpPort))
  if (lanes) await stages.open('lanes', () => lanes.start())
  producer.start()
  const mqttPorts = await stages.open('mqtt ports', () => mqtt.listen())
  const ports = { ...mqttPorts, http: httpPort, kinesis: lab?.port }
  await announce(config, ports, stages)
  upstream?.start()
  return ports
}

const openDevices = (dependencies: AppDependencies, stages: Stages, folder: DataFolder) =>
  stages.open(
    'device services',
    () => openDeviceStage({ ...dependencies, folder }),
    (it) => it.close(),
  )

const openRegistryOf = (
  dependencies: AppDependencies,
  stages: Stages,
  parts: Pick<Parameters<typeof openRegistryStage>[0], 'folder' | 'account'>,
  mqtt: () => MqttStage,
) => stages.open('registry', () => openRegistryStage({ ...dependencies, ...parts, mqtt }))

const ofConfig = (dependencies: AppDependencies, stages: Stages, aws: AwsCalls) => {
  const { mqtt, roleProbe: probesRoles } = dependencies.config
  const logLevel = logLevelOf(dependencies, stages)
  const probeRoles = probesRoles ? roleProbe(dependencies, aws) : undefined
  return { topicLimits: mqtt, payloadBytesMax: mqtt.payloadBytesMax, logLevel, probeRoles }
}

function sqlEnvironment(owner: ResourceOwner, callExternal: CallExternal) {
  return {
    get accountId() {
      return owner.accountId
    },
    newUuid: randomUUID,
    callExternal,
  } satisfies SqlEnvironment
}

/** Opens the stage that knows the account, from the configuration or from STS. */
async function openAccountOf(
  dependencies: AppDependencies,
  stages: Stages,
  { aws, directory }: { readonly aws: AwsCalls; readonly directory: string },
): Promise<AccountStage> {
  const { region } = dependencies.config
  const { signal = new AbortController().signal } = dependencies
  const ask = () => aws.accountId(region)
  return stages.open(
    'account file',
    () => openAccountStage({ ...dependencies, ask, signal }, directory),
    (it) => it.close(),
  )
}

/** Event source mappings read streams for functions. HTTP is built later and stops earlier. */
async function startEventSources(
  dependencies: AppDependencies,
  stages: Stages,
  {
    metrics,
    account,
    drain,
    ...source
  }: Omit<Parameters<typeof openEventSourceStage>[1], 'accountIdNow'> & {
    readonly metrics: Metrics
    readonly account: AccountStage
    readonly drain: Drain
  },
) {
  // A new folder begins with a sample that is stored with the account in its ARN.
  if (dependencies.config.samplesMapping) await account.settled(() => true)
  const accountIdNow = () => account.shownId()
  return stages.open(
    'event sources',
    () => openEventSourceStage({ ...dependencies, metrics }, { ...source, accountIdNow }),
    (it) => it.stop({ drainMs: drain.leftMs() / 2 }),
  )
}

/** @param functions those of the folder, which are there once messages are accepted */
function externalFunctions(
  { config, clock }: AppDependencies,
  stages: Stages,
  aws: AwsCalls,
  functions: () => FunctionApi,
): CallExternal {
  const { region, labActions: emulators } = config
  if (emulators === undefined) return createAwsFunctions({ region, ...aws }, { clock })
  const invoke: FunctionApi['invoke'] = (...call) => functions().invoke(...call)
  const options = { ...config, emulators }
  const made = createLabExternals({ clock, functions: { invoke } }, options)
  return stages.add(made, (it) => it.close()).call
}

/** Writes the ports into the data folder, where commands on this machine find them. */
async function announce(config: Config, ports: AppPorts, stages: Stages): Promise<void> {
  const { mqtt, http, lab, region, auth } = config
  const running = {
    processId: process.pid,
    region,
    mqtt: { host: mqtt.host, port: ports.mqtt },
    mqtts: ports.mqtts === undefined ? undefined : { host: mqtt.tls.host, port: ports.mqtts },
    http: { host: http.host, port: ports.http, tls: http.tls },
    kinesis: ports.kinesis === undefined ? undefined : { host: lab.host, port: ports.kinesis },
    credentialsFile: auth.kind === 'sigv4' ? auth.credentialsFile : undefined,
  }
  await stages.open(
    'announcement',
    () => writeRunningEngine(config.dataDir, config.mode, running),
    () => removeRunningEngine(config.dataDir, config.mode),
  )
}
