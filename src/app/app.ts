import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { compileActions } from '../actions/compile-actions.ts'
import { closedMessage } from '../http/server/api-guard.ts'
import { createHttpServer } from '../http/http-server.ts'
import type { HttpServerDependencies } from '../http/http-server.ts'
import type { DataPlaneDependencies } from '../http/aws-iot/iot-data.ts'
import { createRoleProbe } from '../http/aws-iot/role-probe.ts'
import type { RoleProbe } from '../http/aws-iot/role-probe.ts'
import type { Health } from '../http/sluice/status-routes.ts'
import type { Clock } from '../base/clock.ts'
import type { Config } from '../config/config.ts'
import { dependsOnAccount, openAccountStage } from './account-stage.ts'
import type { AccountStage } from './account-stage.ts'
import { createCountedFaults, healthOf } from './health.ts'
import { createEngine } from '../engine/engine.ts'
import { openEventSources } from './event-source-stage.ts'
import { createAwsFunctions } from '../external/aws-functions.ts'
import { createLabFunctions } from '../external/lab-functions.ts'
import { openAccessKeys } from '../identity/access-keys/credentials-file.ts'
import type { AccessKeys } from '../identity/access-keys/credentials-file.ts'
import type { FileFaults } from '../storage/file-faults.ts'
import type { ResourceOwner } from '../identity/policies/resource-arn.ts'
import type { Ingress, IngressDeps } from '../ingress/ingress.ts'
import { createAwsCalls } from '../aws/aws-calls.ts'
import type { AwsCalls } from '../aws/aws-calls.ts'
import type { OnGivenUp } from '../delivery/outcome/giving-up.ts'
import { createProducer } from '../delivery/producer.ts'
import { startLab } from './lab-stage.ts'
import type { LabStage } from './lab-stage.ts'
import { openMqttStage } from './mqtt-stage.ts'
import type { MqttPorts } from './mqtt-stage.ts'
import { openDataFolder } from '../storage/data-folder.ts'
import type { DataFolder } from '../storage/data-folder.ts'
import { openOutbox } from '../outbox/outbox.ts'
import { createRuleCompiler, ruleArnOf } from '../rules/compile-rule.ts'
import type { CompileRule } from '../rules/compile-rule.ts'
import { openRuleStore } from '../rules/rule-store.ts'
import type { RuleStore, RuleStoreDependencies } from '../rules/rule-store.ts'
import type { SqlEnvironment } from '../sql/externals/document.ts'
import type { CallExternal } from '../sql/externals/external-request.ts'
import { removeRunningEngine, writeRunningEngine } from './running-engine.ts'
import { compileStatement } from '../sql/sql.ts'
import { createMetrics } from '../telemetry/telemetry.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'

/**
 * Composition root: every stage is built here, in the order of the path against its flow, so that
 * nothing is accepted before everything behind it stands; and is stopped in the other order.
 */
export interface App {
  readonly ports: AppPorts
  ruleCount(): number
  /** Resolves when everything that was accepted is delivered. */
  delivered(): Promise<void>
  /** Stops accepting, gives what is in flight its time, closes. What is left stays on disk. */
  stop(): Promise<void>
}

export interface AppPorts extends MqttPorts {
  readonly http: number
  /** Of the local Kinesis and STS, in the lab only. */
  readonly kinesis?: number
}

export interface AppDependencies {
  readonly config: Config
  readonly logger: Logger
  readonly clock: Clock
  /** Aborts when the process is to stop, also while it is starting. Default: never. */
  readonly signal?: AbortSignal | undefined
}

/** What a lab without rules begins with. */
async function readSampleRule() {
  const file = new URL('../../rules/hot_devices.json', import.meta.url)
  return { name: 'hot_devices', text: await readFile(file, 'utf8') }
}

/**
 * Starts the engine; in mode `lab` with its own Kinesis and STS.
 *
 * @throws SluiceError DataFolderLocked, DataFolderOfAnother, DataFolderUnusable,
 *   DataFolderVersionUnsupported, PortUnavailable, RuleFileInvalid, IdentityFileInvalid; an
 *   AbortError where the signal ended the start; what was started by then is stopped again
 */
export async function startApp(dependencies: AppDependencies): Promise<App> {
  const stages = createStages()
  try {
    return await startStages(dependencies, stages)
  } catch (thrown) {
    // What kept it from starting is worth more to the operator than what else fails because of it.
    await stages.stop().catch(() => undefined)
    throw thrown
  }
}

async function startStages(dependencies: AppDependencies, stages: Stages): Promise<App> {
  const { config, logger, clock } = dependencies
  const metrics = createMetrics()
  const watch = { logger, metrics, clock }
  let status: Health['status'] = 'starting'

  const drain = createDrain(clock, config.drainMs)
  const delivery = await startDelivery(dependencies, metrics, stages, {
    drain,
    // The producer starts when the engine stands.
    onGivenUp: (records) => engine.handOver(records),
    hasRule: (ruleName) => rules.byName(ruleName) !== undefined,
  })
  const { directory, lab, outbox, aws, producer } = delivery
  const account = await openAccountOf(dependencies, stages, { aws, directory })
  const { owner } = account
  const environment = sqlEnvironment(owner, externalFunctions(dependencies, lab ? undefined : aws))
  const compile = ruleCompiler(config, account)
  const rules = stages.add(await openRules(config, { lab, compile, ...watch }), (it) => it.close())

  const faults = createCountedFaults(metrics)
  const accessKeys = await openKeys({ ...dependencies, faults }, stages)
  const shared = { rules, outbox, environment, ...watch }
  const engine = createEngine(
    {
      ...shared,
      // Messages come in through the ingress only, so it stands before any is republished.
      distribute: (message) => mqtt.ingress.distribute(message),
    },
    { errorActionScope: config.errorActionScope },
  )
  const mappings = await startEventSources(dependencies, stages, { lab, account, drain })
  const http = stages.add(
    createHttpServer(
      {
        ...shared,
        compile,
        topicLimits: config.mqtt,
        engine,
        eventSourceMappings: mappings,
        ...(config.roleProbe && { probeRoles: roleProbe(dependencies, aws) }),
        // Made after it, the ingress is stopped before it: HTTP answers until the end.
        broker: brokerOf(() => mqtt.ingress),
        onUpgrade: (...upgrade) => mqtt.ingress.upgrade(...upgrade),
        ...httpGuards(config, { accessKeys, account, faults }),
        health: () => healthOf(status, account, faults),
      },
      { ...config.http, insecure: config.insecure },
    ),
    (it) => it.close(),
  )
  const ingest: IngressDeps['ingest'] = (message, sender) => engine.ingest(message, sender)
  const mqtt = stages.add(
    await openMqttStage({ ...dependencies, metrics, ingest, accessKeys, owner, faults }),
    // Clients that cannot get an answer must not use up the time of the calls to Kinesis.
    (it) => it.close({ drainMs: drain.leftMs() / 2 }),
  )

  // Health can be asked from here on; nothing else is served yet.
  const httpPort = await http.listen()
  await account.settled(() => dependsOnAccount({ mqtt, accessKeys, rules }), httpPort)
  producer.start()
  const ports: AppPorts = {
    ...(await mqtt.listen()),
    http: httpPort,
    ...(lab && { kinesis: lab.port }),
  }
  await announce(config, ports)
  stages.add(config, ({ dataDir, mode }) => removeRunningEngine(dataDir, mode))
  status = 'ok'
  return {
    ports,
    ruleCount: () => rules.all().length,
    delivered: () => producer.idle(),
    async stop() {
      status = 'stopping'
      drain.start()
      await stages.stop()
    },
  }
}

function sqlEnvironment(owner: ResourceOwner, callExternal: CallExternal): SqlEnvironment {
  return {
    get accountId() {
      return owner.accountId
    },
    newUuid: randomUUID,
    callExternal,
  }
}

function ruleCompiler(
  { region, regex, delivery, mqtt }: Config,
  account: Pick<AccountStage, 'shownId'>,
): CompileRule {
  return createRuleCompiler(
    { compileStatement, compileActions },
    {
      region,
      get accountId() {
        return account.shownId()
      },
      regex,
      delivery,
      topicLimits: mqtt,
    },
  )
}

/** Which account this is, as the configuration says, or STS. */
async function openAccountOf(
  dependencies: AppDependencies,
  stages: Stages,
  { aws, directory }: { readonly aws: AwsCalls; readonly directory: string },
): Promise<AccountStage> {
  const { region } = dependencies.config
  const { signal = new AbortController().signal } = dependencies
  const ask = () => aws.accountId(region)
  return stages.add(await openAccountStage({ ...dependencies, ask, signal }, directory), (it) =>
    it.close(),
  )
}

/** Records read back by functions; HTTP, made after it, is stopped before it. */
async function startEventSources(
  dependencies: AppDependencies,
  stages: Stages,
  {
    lab,
    account,
    drain,
  }: {
    readonly lab: LabStage | undefined
    readonly account: AccountStage
    readonly drain: Drain
  },
) {
  // The sample that a new folder begins with is kept with the account in its ARN.
  if (dependencies.config.samplesMapping) await account.settled(() => true)
  const source = { lab, accountIdNow: () => account.shownId() }
  return stages.add(await openEventSources(dependencies, source), (it) =>
    it.stop({ drainMs: drain.leftMs() / 2 }),
  )
}

/** Who signs requests to the HTTP API, and URLs of WebSockets. */
async function openKeys(
  { config, logger, clock, faults }: AppDependencies & { readonly faults: FileFaults },
  stages: Stages,
): Promise<AccessKeys> {
  const { kind, credentialsFile: file } = config.auth
  const keys = stages.add(await openAccessKeys({ logger, clock, faults }, { file }), (it) =>
    it.close(),
  )
  if (kind === 'sigv4' && keys.count === 0) {
    logger.warn({ file }, `the HTTP API is closed: ${closedMessage}`)
  }
  return keys
}

/** What stands between the network and the HTTP API. */
function httpGuards(
  { http, tls, auth }: Config,
  given: {
    readonly accessKeys: AccessKeys
    readonly account: AccountStage
    readonly faults: FileFaults
  },
): Pick<HttpServerDependencies, 'tls' | 'access' | 'faults' | 'ruleArnOf'> {
  const { accessKeys: keys, account, faults } = given
  const { owner } = account
  return {
    faults,
    ruleArnOf: (name) => ruleArnOf(name, { ...owner, accountId: account.shownId() }),
    ...(http.tls && tls && { tls }),
    ...(auth.kind === 'sigv4' && { access: { keys, owner, metricsToken: auth.metricsToken } }),
  }
}

function externalFunctions({ config, clock }: AppDependencies, aws: AwsCalls | undefined) {
  return aws === undefined
    ? createLabFunctions({ clock }, config)
    : createAwsFunctions({ region: config.region, ...aws }, { clock })
}

function roleProbe({ config, logger }: AppDependencies, aws: AwsCalls): RoleProbe {
  return createRoleProbe({
    assumeRole: (roleArn, externalId) =>
      aws.credentialsOf(config.region, roleArn, externalId).current(),
    logger,
  })
}

/** In the lab a new folder begins with a sample, and the streams that rules name are made. */
async function openRules(
  { rulesDir: directory, rulesMax }: Config,
  { lab, compile, ...watch }: RuleStoreDependencies & { readonly lab: LabStage | undefined },
): Promise<RuleStore> {
  if (lab === undefined) {
    const store = await openRuleStore({ compile, ...watch }, { directory, rulesMax })
    warnOfSampleRoles(store, watch.logger)
    return store
  }
  const rules = await openRuleStore(
    { compile: lab.withStreams(compile), ...watch },
    { directory, rulesMax, sample: await readSampleRule() },
  )
  await lab.streamsMade()
  return rules
}

/** Documentation uses this account, as AWS's own does; roles of it can be assumed in the lab alone. */
const sampleRoles = /arn:aws:iam::123456789012:role\/[\w+=,.@/-]+/

function warnOfSampleRoles(rules: RuleStore, logger: Logger): void {
  for (const { name, payload } of rules.all()) {
    const [role] = sampleRoles.exec(JSON.stringify(payload)) ?? []
    if (role === undefined) continue
    logger.warn(
      { rule: name, roleArn: role },
      `the rule ${name} names a role of the samples, which works in the lab alone: put a role ` +
        'of your account into it, or delete the rule',
    )
  }
}

function brokerOf(ingress: () => Ingress): DataPlaneDependencies['broker'] {
  return {
    publish: (message) => ingress().publish(message),
    retained: (topic) => ingress().retained(topic),
    listRetained: (page) => ingress().listRetained(page),
    disconnect: (clientId, options) => ingress().disconnect(clientId, options),
  }
}

/** From the disk to the stream: what is accepted is safe before anything can be accepted. */
async function startDelivery(
  { config, logger, clock }: AppDependencies,
  metrics: Metrics,
  stages: Stages,
  {
    drain,
    onGivenUp,
    hasRule,
  }: {
    readonly drain: Drain
    readonly onGivenUp: OnGivenUp
    readonly hasRule: (ruleName: string) => boolean
  },
) {
  const { directory } = await openFolder({ config, logger }, stages)
  const lab =
    config.mode === 'lab'
      ? stages.add(await startLab({ config, logger }), (it) => it.close())
      : undefined
  const outbox = stages.add(
    await openOutbox(
      { directory, metrics, logger, clock },
      { bytesMax: config.outboxBytesMax, hasRule },
    ),
    (it) => it.close(),
  )
  const aws = stages.add(createAwsCalls({ clock, logger }, lab?.access), (it) => it.close())
  const producer = stages.add(
    createProducer({
      outbox,
      callsFor: (destination) => aws.callsFor(destination),
      onGivenUp,
      clock,
      logger,
      metrics,
      ...(lab && { makeStream: (name) => lab.ensureStream(name) }),
    }),
    (it) => it.stop({ drainMs: drain.leftMs() }),
  )
  return { directory, lab, outbox, aws, producer }
}

/** A folder of a release that did not say whose it is has an owner from now on. */
async function openFolder(
  { config, logger }: Pick<AppDependencies, 'config' | 'logger'>,
  stages: Stages,
): Promise<DataFolder> {
  const owner = config.mode === 'lab' ? 'lab' : 'engine'
  const folder = stages.add(await openDataFolder(config.dataDir, owner), (it) => it.close())
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

/** Commands of this machine find the engine by its data folder. */
async function announce(config: Config, ports: AppPorts): Promise<void> {
  const { mqtt, http, lab, region, auth } = config
  await writeRunningEngine(config.dataDir, config.mode, {
    processId: process.pid,
    region,
    mqtt: { host: mqtt.host, port: ports.mqtt },
    mqtts: ports.mqtts === undefined ? undefined : { host: mqtt.tls.host, port: ports.mqtts },
    http: { host: http.host, port: ports.http, tls: http.tls },
    kinesis: ports.kinesis === undefined ? undefined : { host: lab.host, port: ports.kinesis },
    credentialsFile: auth.kind === 'sigv4' ? auth.credentialsFile : undefined,
  })
}

/** The time that all stages together have for a stop, so that the process ends when it is due. */
interface Drain {
  start(): void
  leftMs(): number
}

function createDrain(clock: Clock, drainMs: number): Drain {
  let endsAtMs: number | undefined
  return {
    start() {
      endsAtMs = clock.monotonicMs() + drainMs
    },
    leftMs: () => (endsAtMs === undefined ? drainMs : Math.max(0, endsAtMs - clock.monotonicMs())),
  }
}

interface Stages {
  /** Takes note of how a stage is stopped; gives the stage back. */
  add<Stage>(stage: Stage, stop: (stage: Stage) => void | Promise<void>): Stage
  /**
   * Stops all stages, the last one first. One that cannot be stopped keeps no other from stopping;
   * the first failure is thrown when all are done.
   */
  stop(): Promise<void>
}

function createStages(): Stages {
  const stops: (() => void | Promise<void>)[] = []
  return {
    add(stage, stop) {
      stops.push(() => stop(stage))
      return stage
    },
    async stop() {
      const failures: unknown[] = []
      for (const stop of stops.splice(0).toReversed()) {
        try {
          await stop()
        } catch (thrown) {
          failures.push(thrown)
        }
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}
