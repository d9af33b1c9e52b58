import { randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import { nameOf } from '../consumers/retry-backoff.ts'
import { createKinesisReads } from '../consumers/kinesis-reads.ts'
import type { KinesisAccess } from '../consumers/kinesis-access.ts'
import { openLmdbCheckpoints } from '../consumers/lmdb-checkpoints.ts'
import { SluiceError } from '../base/errors.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { createFailureFiles } from './failure-files.ts'
import { createAwsFunctions } from './functions/aws-lambda-functions.ts'
import { arnOfFunction, parseFunctionName } from './functions/function-name.ts'
import { createFunctions } from './functions/functions.ts'
import type { Functions } from './functions/functions.ts'
import { createMappingEntries } from './mapping-entries.ts'
import type { MappingEntries, MappingEntry } from './mapping-entries.ts'
import { openMappingFiles } from './mapping-files.ts'
import type { MappingFiles } from './mapping-files.ts'
import { invalidParameter, settingsOfCreate, settingsOfUpdate } from './mapping-request.ts'
import type { EventSource } from './mapping-settings.ts'

/**
 * Lambda's event source mappings for Kinesis: its API, and the pollers behind it.
 *
 *     <data folder>/event-source/mappings/     one file a mapping (mapping-files.ts)
 *     <data folder>/event-source/checkpoints/  how far each has come (lmdb-checkpoints.ts)
 *     <data folder>/event-source/failures/     what each has given up (failure-files.ts)
 *
 * Invariant: a request that succeeded is on disk, and is what the next start begins with.
 */
export interface EventSourceMappings extends EventSourceMappingApi {
  /** Begins the work of the mappings that are enabled. */
  start(): void
  /** Ends the work; invocations under way get so much time. What is not finished comes again. */
  stop(options: { readonly drainMs: number }): Promise<void>
}

/** Lambda's operations. @throws SluiceError in Lambda's codes */
export interface EventSourceMappingApi {
  create(body: unknown): Promise<MappingConfiguration>
  get(uuid: string): MappingConfiguration
  update(uuid: string, body: unknown): Promise<MappingConfiguration>
  delete(uuid: string): Promise<MappingConfiguration>
  list(query: ListQuery): MappingPage
}

/** As the API answers it (Lambda API Reference, EventSourceMappingConfiguration). */
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
  /** In the lab: makes a stream unless it is there. Absent: streams that are not there are waited for. */
  readonly makeStream?: (name: string) => Promise<void>
}

export interface EventSourceMappingsOptions {
  readonly dataDir: string
  /** The functions: see functions/functions.ts. */
  readonly functionsDir: string
  readonly region: string
  /** Read at each use: in `start` it may become known later, and what ARNs say follows. */
  readonly accountId: string
  /** How the streams are reached. */
  readonly kinesis: KinesisAccess
  /** Whether ARNs of functions that are not here are functions in AWS; otherwise they are refused. */
  readonly invokesAws: boolean
  /** The mapping that a new folder begins with; its stream need not be there yet. */
  readonly sample?: SampleMapping
}

interface SampleMapping {
  readonly functionName: string
  readonly streamName: string
  /** The module of the function, for a folder of functions that does not have it. */
  readonly module: URL
}

const mappingsMax = 1_000
const listedDefault = 100
const folderName = 'event-source'

/**
 * Opens the mappings of a data folder.
 *
 * @throws SluiceError DataFolderUnusable (rejects)
 */
export async function createEventSourceMappings(
  dependencies: EventSourceMappingsDependencies,
  options: EventSourceMappingsOptions,
): Promise<EventSourceMappings> {
  const { kinesis, region, sample } = options
  const folder = path.join(options.dataDir, folderName)
  const { files, isNew } = await openMappingFiles(path.join(folder, 'mappings'))
  const checkpoints = await openLmdbCheckpoints(path.join(folder, 'checkpoints'))
  const functions = createFunctions(dependencies, {
    region,
    directory: options.functionsDir,
    get accountId() {
      return options.accountId
    },
    ...(options.invokesAws && { aws: createAwsFunctions() }),
  })
  if (isNew && sample) await writeSample(files, sample, options, dependencies.clock.wallMs())
  const failures = createFailureFiles(path.join(folder, 'failures'))
  const entries = createMappingEntries(
    {
      ...dependencies,
      files,
      kinesis,
      functions,
      checkpoints,
      failures,
      forget: (application) => checkpoints.forget(application),
    },
    { stored: await files.readAll(), accountIdNow: () => options.accountId },
  )
  return {
    ...createApi({ clock: dependencies.clock, functions, entries }, options),
    start: () => entries.start(),
    async stop({ drainMs }) {
      await entries.stop(drainMs)
      await functions.close()
      await checkpoints.close()
    },
  }
}

/** A function that is there stays as it is. */
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
    readonly functions: Functions
    readonly entries: MappingEntries
  },
  options: EventSourceMappingsOptions,
): EventSourceMappingApi {
  const { clock, functions, entries } = dependencies
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
      const { stored } = find(uuid)
      const settings = settingsOfUpdate(stored.settings, body)
      await functions.find(parseFunctionName(settings.FunctionName))
      refuseChange(uuid, 'update')
      return configurationOf(
        await entries.replace({ uuid, settings, lastModifiedMs: clock.wallMs() }),
      )
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
  { clock, functions, entries }: Parameters<typeof createApi>[0],
  options: EventSourceMappingsOptions,
  body: unknown,
): Promise<MappingEntry> {
  const nowMs = clock.wallMs()
  const { settings, source } = settingsOfCreate(body, nowMs)
  const functionArn = arnOf(settings.FunctionName, options)
  await functions.find(parseFunctionName(settings.FunctionName))
  await refuseAbsent(source, options.kinesis)
  const same = entries.all().find(({ stored: { settings: other } }) => {
    const isSameSource = other.EventSourceArn === settings.EventSourceArn
    return isSameSource && arnOf(other.FunctionName, options) === functionArn
  })
  if (same) throw alreadyThere(same, options)
  if (entries.all().length >= mappingsMax) {
    throw invalidParameter(`There are ${mappingsMax} event source mappings, which is the limit.`)
  }
  return entries.add({ uuid: randomUUID(), settings, lastModifiedMs: nowMs })
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

/** @throws SluiceError InvalidParameterValueException (rejects): no such stream or consumer */
async function refuseAbsent(source: EventSource, access: KinesisAccess): Promise<void> {
  const { streamArn, consumerArn, region } = source
  const reads = createKinesisReads({ ...access, region }, streamArn)
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

function alreadyThere({ stored }: MappingEntry, options: EventSourceMappingsOptions): SluiceError {
  const { uuid, settings } = stored
  const { EventSourceArn, FunctionName } = settings
  const name = parseFunctionName(FunctionName).name
  return new SluiceError(
    'ResourceConflictException',
    `The event source arn (" ${EventSourceArn} ") and function (" ${name} ") provided mapping ` +
      `already exists in ${options.region}. Please update or delete the existing mapping with UUID ${uuid}`,
  )
}
