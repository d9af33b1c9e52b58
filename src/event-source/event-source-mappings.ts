import { randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { nameOf } from '../consumers/retry-backoff.ts'
import { createKinesisReads } from '../consumers/kinesis-reads.ts'
import type { KinesisAccess } from '../consumers/kinesis-access.ts'
import { openCheckpointFile } from '../consumers/checkpoint-file.ts'
import type { EnvironmentCheck } from '../storage/lmdb-environment.ts'
import { SluiceError } from '../base/errors.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import { createFailureFiles } from './failure-files.ts'
import { membersOfPattern } from './filters/filter-pattern.ts'
import { createAwsLambdaFunctions } from './functions/aws-lambda-functions.ts'
import { arnOfFunction, parseFunctionName } from './functions/function-name.ts'
import { createFunctions } from './functions/functions.ts'
import type { Functions } from './functions/functions.ts'
import { createMappingEntries } from './mapping-entries.ts'
import type { MappingEntries, MappingEntry } from './mapping-entries.ts'
import { openMappingFiles } from './mapping-files.ts'
import type { MappingFiles } from './mapping-files.ts'
import type { RunMapping } from './mapping-runner.ts'
import { settingsOfCreate, settingsOfUpdate } from './mapping-request.ts'
import type { EventSource, MappingSettings } from './mapping-settings.ts'
import { createUnusableFiles } from './unusable-files.ts'
import { invalidParameter } from './validation-error.ts'

/**
 * Lambda's event source mappings for Kinesis: its API, and the pollers behind it.
 *
 *     <data folder>/event-source/mappings/     one file for each mapping (mapping-files.ts)
 *     <data folder>/event-source/checkpoints/  the checkpoints of each (lmdb-checkpoints.ts)
 *     <data folder>/event-source/failures/     the batches that each gave up (failure-files.ts)
 *
 * Invariant: a change that was answered is on disk, and the next start begins with it.
 */
export interface EventSourceMappings extends EventSourceMappingApi {
  /** Starts the enabled mappings. */
  start(): void
  /**
   * Stops all mappings. Running invocations get `drainMs`; records that are not finished then are
   * handed over again after the next start.
   */
  stop(options: { readonly drainMs: number }): Promise<void>
  /** The files of mappings that are left out, because they are not usable. */
  unusableFiles(): readonly string[]
}

/** Lambda's operations. @throws SluiceError with Lambda's codes */
export interface EventSourceMappingApi {
  create(body: unknown): Promise<MappingConfiguration>
  get(uuid: string): MappingConfiguration
  update(uuid: string, body: unknown): Promise<MappingConfiguration>
  delete(uuid: string): Promise<MappingConfiguration>
  list(query: ListQuery): MappingPage
}

/** A mapping in the API's form (Lambda API Reference, EventSourceMappingConfiguration). */
type MappingConfiguration = Readonly<Record<string, unknown>>

interface ListQuery {
  readonly EventSourceArn?: string
  readonly FunctionName?: string
  readonly Marker?: string
  readonly MaxItems?: number
}

interface MappingPage {
  readonly EventSourceMappings: readonly MappingConfiguration[]
  readonly NextMarker?: string
}

export interface EventSourceMappingsDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly metrics: Pick<Metrics, 'mappingRecordsFiltered'>
  /** In the lab: creates the missing streams of mappings once, when the process starts. */
  readonly makeStream?: (streamArn: string) => Promise<void>
  /** Runs a mapping; by default it reads the stream and invokes the function. */
  readonly runMapping?: RunMapping | undefined
}

export interface EventSourceMappingsOptions {
  readonly dataDir: string
  /** The folder of the functions: see functions/functions.ts. */
  readonly functionsDir: string
  readonly region: string
  /** Read at each use: `sluice start` may learn the account later, and ARNs follow it. */
  readonly accountId: string
  /** How mappings reach the streams. */
  readonly kinesis: KinesisAccess
  /** Whether the ARN of a function that is not local invokes it in AWS; otherwise it is refused. */
  readonly invokesAws: boolean
  /** The mapping that a new folder begins with; its stream need not exist yet. */
  readonly sample?: SampleMapping | undefined
  /** Whether the file of the checkpoints may be absent. */
  readonly checkpointFile?: Pick<EnvironmentCheck, 'wasMade' | 'beginsAnew'> | undefined
}

interface SampleMapping {
  readonly functionName: string
  readonly streamName: string
  /** The module of the function, written when the folder of functions does not have it. */
  readonly module: URL
}

const mappingsMax = 1_000
const listedDefault = 100
const folderName = 'event-source'
/** The folder of the checkpoints, relative to the data folder. */
export const checkpointFolderName = `${folderName}/checkpoints`

function openCheckpoints({ dataDir, checkpointFile }: EventSourceMappingsOptions) {
  const folder = path.join(dataDir, checkpointFolderName)
  const anew = 'start once with --begin-anew: each mapping then reads from its StartingPosition'
  return openCheckpointFile(folder, {
    ...checkpointFile,
    wayOut: { damaged: `move it away and ${anew}`, lost: `put it back, or ${anew}` },
  })
}

/**
 * Opens the mappings of a data folder.
 *
 * @throws SluiceError DataFolderDamaged, DataFolderUnusable (rejects)
 */
export async function createEventSourceMappings(
  dependencies: EventSourceMappingsDependencies,
  options: EventSourceMappingsOptions,
): Promise<EventSourceMappings> {
  const { kinesis, region, sample } = options
  const folder = path.join(options.dataDir, folderName)
  const { files, isNew } = await openMappingFiles(path.join(folder, 'mappings'))
  const checkpoints = await openCheckpoints(options)
  const functions = createFunctions(dependencies, {
    region,
    directory: options.functionsDir,
    get accountId() {
      return options.accountId
    },
    ...(options.invokesAws && { aws: createAwsLambdaFunctions(dependencies.clock) }),
  })
  if (isNew && sample) await writeSample(files, sample, options, dependencies.clock.wallMs())
  const failures = createFailureFiles(path.join(folder, 'failures'))
  const { mappings: stored, unusable: unusableAtFirst } = await files.readAll()
  const entries = createMappingEntries(
    {
      ...dependencies,
      files,
      kinesis,
      functions,
      checkpoints,
      failures,
      removeCheckpoints: (application) => checkpoints.forget(application),
    },
    { stored, accountIdNow: () => options.accountId },
  )
  const unusable = createUnusableFiles(
    {
      ...dependencies,
      files,
      adopt(mapping) {
        const same = findSame(entries, mapping.settings, options)
        if (same) return `the mapping ${same.stored.uuid} has its stream and its function`
        entries.adopt(mapping)
        return undefined
      },
    },
    unusableAtFirst,
  )
  return {
    ...createApi({ ...dependencies, functions, entries }, options),
    start: () => entries.start(),
    unusableFiles: () => unusable.names(),
    async stop({ drainMs }) {
      unusable.stop()
      await entries.stop(drainMs)
      await functions.close()
      await checkpoints.close()
    },
  }
}

/** Leaves an existing function file unchanged. */
async function writeSample(
  files: MappingFiles,
  { functionName, streamName, module }: SampleMapping,
  options: EventSourceMappingsOptions,
  nowMs: number,
): Promise<void> {
  const body = {
    FunctionName: functionName,
    EventSourceArn: streamArnOf(streamName, options),
    StartingPosition: 'TRIM_HORIZON',
  }
  const { settings } = settingsOfCreate(body, nowMs)
  await mkdir(options.functionsDir, { recursive: true })
  const file = path.join(options.functionsDir, `${functionName}.mjs`)
  await writeFile(file, await readFile(module), { flag: 'wx' }).catch((thrown: unknown) => {
    if (!isExistence(thrown)) throw thrown
  })
  await files.write({ uuid: randomUUID(), settings, lastModifiedMs: nowMs })
}

const isExistence = (thrown: unknown) =>
  thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST'

const streamArnOf = (name: string, { region, accountId }: EventSourceMappingsOptions) =>
  `arn:aws:kinesis:${region}:${accountId}:stream/${name}`

function createApi(
  dependencies: {
    readonly clock: Clock
    readonly logger: Pick<Logger, 'warn'>
    readonly functions: Functions
    readonly entries: MappingEntries
  },
  options: EventSourceMappingsOptions,
): EventSourceMappingApi {
  const { clock, logger, functions, entries } = dependencies
  const configurationOf = (entry: MappingEntry) => describe(entry, options)

  function find(uuid: string): MappingEntry {
    const entry = entries.find(uuid)
    if (entry) return entry
    throw new SluiceError('ResourceNotFoundException', 'The resource you requested does not exist.')
  }

  function refuseChange(uuid: string, verb: string): void {
    if (!entries.isChanging(uuid)) return
    throw new SluiceError(
      'ResourceInUseException',
      `Cannot ${verb} the event source mapping because it is in use.`,
    )
  }

  return {
    create: async (body) => configurationOf(await createMapping(dependencies, options, body)),
    get: (uuid) => configurationOf(find(uuid)),
    async update(uuid, body) {
      const wanted = settingsOfUpdate(find(uuid).stored.settings, body)
      await functions.find(parseFunctionName(wanted.FunctionName))
      // Another change may have been made meanwhile: from here to the writer nothing is awaited.
      const settings = settingsOfUpdate(find(uuid).stored.settings, body)
      refuseChange(uuid, 'update')
      const same = findSame(entries, settings, options, uuid)
      if (same) throw alreadyExists(same)
      const entry = await entries.replace({ uuid, settings, lastModifiedMs: clock.wallMs() })
      warnOfFilters(logger, entry)
      return configurationOf(entry)
    },
    async delete(uuid) {
      find(uuid)
      refuseChange(uuid, 'delete')
      return configurationOf(await entries.remove(uuid))
    },
    list(query) {
      const { MaxItems = listedDefault, Marker = '' } = query
      const wanted = entries
        .all()
        .filter((entry) => isWanted(entry, query, options) && entry.stored.uuid > Marker)
        .toSorted((a, b) => (a.stored.uuid < b.stored.uuid ? -1 : 1))
      const page = wanted.slice(0, MaxItems)
      const last = page.at(-1)
      return {
        EventSourceMappings: page.map(configurationOf),
        ...(wanted.length > page.length && last && { NextMarker: last.stored.uuid }),
      }
    },
  }
}

async function createMapping(
  { clock, logger, functions, entries }: Parameters<typeof createApi>[0],
  options: EventSourceMappingsOptions,
  body: unknown,
): Promise<MappingEntry> {
  const nowMs = clock.wallMs()
  const { settings, source } = settingsOfCreate(body, nowMs)
  await functions.find(parseFunctionName(settings.FunctionName))
  await refuseMissingSource(clock, source, options.kinesis)
  const same = findSame(entries, settings, options)
  if (same) throw alreadyExists(same)
  if (entries.all().length >= mappingsMax) {
    throw invalidParameter(`There are ${mappingsMax} event source mappings, which is the limit.`)
  }
  const entry = await entries.add({ uuid: randomUUID(), settings, lastModifiedMs: nowMs })
  warnOfFilters(logger, entry)
  return entry
}

/** AWS documents filters on `data` alone for Kinesis: what it does with others is uncertain. */
function warnOfFilters(logger: Pick<Logger, 'warn'>, { stored }: MappingEntry): void {
  const { uuid, settings } = stored
  const patterns = (settings.FilterCriteria?.Filters ?? []).map(({ Pattern = '' }) => Pattern)
  const members = new Set(patterns.flatMap(membersOfPattern).filter((name) => name !== 'data'))
  if (members.size === 0) return
  logger.warn(
    { mapping: uuid, members: [...members] },
    'filters of an event source mapping compare members beside data, which AWS may not do',
  )
}

/** Another mapping of that source and that function, unless it is being deleted. */
function findSame(
  entries: MappingEntries,
  settings: MappingSettings,
  options: EventSourceMappingsOptions,
  ownUuid?: string,
): MappingEntry | undefined {
  const functionArn = arnOf(settings.FunctionName, options)
  const isSame = (other: MappingSettings) =>
    other.EventSourceArn === settings.EventSourceArn &&
    arnOf(other.FunctionName, options) === functionArn
  return entries
    .all()
    .find(
      ({ state, stored, next = stored }) =>
        state !== 'Deleting' &&
        stored.uuid !== ownUuid &&
        (isSame(stored.settings) || isSame(next.settings)),
    )
}

const arnOf = (functionName: string, owner: { region: string; accountId: string }) =>
  arnOfFunction(parseFunctionName(functionName), owner)

function isWanted(
  { stored: { settings } }: MappingEntry,
  { EventSourceArn, FunctionName }: ListQuery,
  options: EventSourceMappingsOptions,
): boolean {
  if (EventSourceArn !== undefined && settings.EventSourceArn !== EventSourceArn) return false
  if (FunctionName === undefined) return true
  return arnOf(settings.FunctionName, options) === arnOf(FunctionName, options)
}

function describe(entry: MappingEntry, options: EventSourceMappingsOptions): MappingConfiguration {
  const { stored, state } = entry
  const { uuid, settings, lastModifiedMs } = stored
  const { FunctionName, Enabled: _, ...members } = settings
  const { region, accountId } = options
  return {
    UUID: uuid,
    ...members,
    DestinationConfig: { OnFailure: members.DestinationConfig?.OnFailure ?? {} },
    FunctionArn: arnOf(FunctionName, options),
    LastModified: lastModifiedMs / 1_000,
    LastProcessingResult: entry.lastResult(),
    State: state,
    StateTransitionReason: 'User action',
    EventSourceMappingArn: `arn:aws:lambda:${region}:${accountId}:event-source-mapping:${uuid}`,
  }
}

/** @throws SluiceError InvalidParameterValueException (rejects) when the source does not exist */
async function refuseMissingSource(
  clock: Clock,
  source: EventSource,
  access: KinesisAccess,
): Promise<void> {
  const { streamArn, consumerArn, region } = source
  const reads = createKinesisReads({ ...access, region }, streamArn, { clock })
  try {
    if (consumerArn === undefined) await reads.describeStream()
    else await reads.describeConsumer({ name: consumerArn, arn: consumerArn })
  } catch (thrown) {
    if (nameOf(thrown) !== 'ResourceNotFoundException') throw thrown
    const what = consumerArn === undefined ? 'Stream' : 'Consumer'
    throw invalidParameter(`${what} not found: ${consumerArn ?? streamArn}`)
  } finally {
    reads.close()
  }
}

function alreadyExists({ stored }: MappingEntry): SluiceError {
  const { uuid, settings } = stored
  const { EventSourceArn, FunctionName } = settings
  const name = parseFunctionName(FunctionName).name
  return new SluiceError(
    'ResourceConflictException',
    `The event source arn (" ${EventSourceArn} ") and function (" ${name} ") provided mapping ` +
      `already exists. Please update or delete the existing mapping with UUID ${uuid}`,
  )
}
