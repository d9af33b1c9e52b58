import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import type { AppPorts, RuleExample } from '../app/app.ts'
import { systemClock } from '../base/clock.ts'
import { tuneCollector } from '../app/collector.ts'
import type { TemplateOptions } from '../app/template-stage.ts'
import { loadConfig, openListeners } from '../config/config.ts'
import type { Config } from '../config/config.ts'
import { isLoopback } from '../base/loopback.ts'
import type { Logger } from '../telemetry/logger.ts'
import { checkFolderOwner } from '../storage/folder-format.ts'
import { version } from '../base/version.ts'
import { endGraceMs, isAbort } from './terminal/host.ts'
import type { Host } from './terminal/host.ts'
import { unknownVariables } from './terminal/unknown-variables.ts'

/** Options of `lab` and `start`. */
export interface EngineOptions {
  readonly beginAnew: boolean
  /** In the lab. */
  readonly templates?: TemplateOptions | undefined
}

/** Adds the options of `lab` and `start` to a command. */
export function addEngineOptions(command: Command): Command {
  return command.option(
    '--begin-anew',
    'begin with an empty outbox or without checkpoints where the data folder has lost their file',
    false,
  )
}

/** `lab` and `start`: builds the engine, runs it until a signal, drains it. */
export async function runEngine(
  host: Host,
  mode: Config['mode'],
  { beginAnew, templates }: EngineOptions,
): Promise<void> {
  const config = loadConfig(host.environment, mode)
  // Before anything is loaded: a folder of another owner is refused at once.
  await checkFolderOwner(config.dataDir, mode === 'lab' ? 'lab' : 'engine')
  const isTerminal = host.stdout.isTTY === true
  // Loaded here and not on top: `sluice --help` should not wait for it.
  const { createLogger } = await import('../telemetry/logger.ts')
  const { logConsole } = await import('../telemetry/log-console.ts')
  const { createRedaction } = await import('../redaction/redaction.ts')
  const redaction = createRedaction(config.redact)
  const logger = await createLogger(config.logLevel, { pretty: isTerminal, redaction })
  logConsole(logger)
  const stopRequested = host.stopRequested()
  logger.info({ version, dataDir: config.dataDir, rulesDir: config.rulesDir }, `starting ${mode}`)
  for (const line of unknownVariables(host.environment)) logger.warn({}, line)
  warnOfOpenPorts(config, logger)
  if (mode === 'start' && host.environment['SLUICE_SAMPLE_MAPPING'] === 'on') {
    logger.warn({}, 'SLUICE_SAMPLE_MAPPING=on has no effect: samples are made in the lab alone')
  }

  tuneCollector()
  // Loaded after the configuration was read: a bad variable is told at once.
  const { startApp } = await import('../app/app.ts')
  const absent = foldersOf(config).filter((folder) => !existsSync(folder))
  const stopping = new AbortController()
  void stopRequested.then(() => stopping.abort())
  const started = startApp({
    config,
    logger,
    clock: systemClock,
    beginsAnew: beginAnew,
    templates,
    signal: stopping.signal,
  })
  const app = await started.catch((thrown: unknown) => {
    // A stage may need a long time, or never come to its end: a signal ends the start in order.
    if (isAbort(thrown, stopping.signal)) return undefined
    throw thrown
  })
  if (app === undefined) {
    logger.info({ signal: await stopRequested }, 'stopped')
    host.endWithin(endGraceMs)
    return
  }
  const made = absent.filter((folder) => existsSync(folder))
  if (made.length > 0) logger.info({ made }, 'folders were made, which were not there')
  const https = config.http.tls && { https: true }
  logger.info({ ...app.ports, ...https, rules: app.ruleCount() }, 'ready')
  if (isTerminal && mode === 'lab') {
    const hasTemplates = templates !== undefined && templates.paths.length > 0
    await writeNextSteps(host, app.ports, config, hasTemplates ? app.example() : sampleRule)
  }

  logger.info({ signal: await stopRequested }, 'stopping')
  await app.stop()
  logger.info({}, 'stopped')
}

/** Warns at each start of settings that let others in. */
function warnOfOpenPorts(config: Config, logger: Logger): void {
  for (const { name, host: address } of openListeners(config)) {
    logger.warn(
      { variable: name, address },
      `${name}=${address}: other machines reach this address, and nobody is authenticated there`,
    )
  }
  const { host: address, passwordFile, port } = config.mqtt
  if (passwordFile !== undefined && !isLoopback(address)) {
    logger.warn(
      { variable: 'SLUICE_MQTT_HOST', address, port },
      'passwords cross the network in the clear on this port: MQTT over TLS keeps them to itself',
    )
  }
}

/** The folders that a start creates when they are missing; a lab puts a sample into them. */
const foldersOf = ({ rulesDir, functionsDir, dataDir }: Config): readonly string[] => [
  rulesDir,
  functionsDir,
  dataDir,
]

/** With this one a new lab begins. */
const sampleRule: RuleExample = { topicFilter: 'dt/+/telemetry', streamName: 'hot-devices' }

async function writeNextSteps(
  host: Host,
  ports: AppPorts,
  config: Config,
  example: RuleExample | undefined,
): Promise<void> {
  // Loaded here and not on top: only a terminal sees them.
  const { nextSteps } = await import('./next-steps.ts')
  host.stdout.write(await nextSteps(host, ports, config, example))
}
