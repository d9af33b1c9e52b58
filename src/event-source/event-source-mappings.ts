import { randomUUID } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { KinesisAccess } from '../consumers/kinesis-access.ts'
import { openCheckpointFile } from '../consumers/checkpoint-file.ts'
import type { EnvironmentCheck } from '../storage/lmdb-environment.ts'
import type { Logger, Metrics } from '../telemetry/telemetry.ts'
import type { BatchSpans } from '../traces/message-traces.ts'
import { createFailureFiles } from './failure-files.ts'
import { createAwsLambdaFunctions } from './functions/aws-lambda-functions.ts'
import { createFunctionApi } from './functions/function-api.ts'
import type { FunctionApi, FunctionEvents } from './functions/function-api.ts'
import { createFunctions } from './functions/functions.ts'
import type { HeldFunctions } from './functions/held-functions.ts'
import { createHeldMappings } from './held-mappings.ts'
import type { HoldMappings } from './held-mappings.ts'
import type { SendFailure } from './invocation-context.ts'
import { createMappingApi, findSame } from './mapping-api.ts'
import type { EventSourceMappingApi } from './mapping-api.ts'
import { createMappingEntries } from './mapping-entries.ts'
import type { MappingEntries } from './mapping-entries.ts'
import { openMappingFiles } from './mapping-files.ts'
import type { MappingFiles } from './mapping-files.ts'
import type { MappingRunnerDependencies, RunMapping } from './mapping-runner.ts'
import { settingsOfCreate } from './mapping-request.ts'
import { createRecentBatches } from './recent-batches.ts'
import type { RecentBatch } from './recent-batches.ts'
import { createUnusableFiles } from './unusable-files.ts'

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
  /** Lambda's operations on local functions. */
  readonly functions: FunctionApi & FunctionEvents
  /**
   * The last batches of a mapping since the start of the process, the newest first.
   *
   * @throws SluiceError ResourceNotFoundException
   */
  recentBatches(uuid: string): readonly RecentBatch[]
  /** Starts the enabled mappings. */
  start(): void
  /** Replaces the mappings that are defined elsewhere: held-mappings.ts. */
  readonly hold: HoldMappings
  /**
   * Stops all mappings. Running invocations get `drainMs`; records that are not finished then are
   * handed over again after the next start.
   */
  stop(options: { readonly drainMs: number }): Promise<void>
  /** The files or entries of mappings that are left out, because they are not usable. */
  unusableFiles(): readonly string[]
}

export interface EventSourceMappingsDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>
  readonly metrics: Pick<Metrics, 'mappingRecordsFiltered'>
  /** Whether the last result leaves out the function's error, which may quote records. */
  readonly hidesReasons?: boolean | undefined
  /** In the lab: creates the missing streams of mappings once, when the process starts. */
  readonly makeStream?: (streamArn: string) => Promise<void>
  /** In the lab: sends documents about given-up records to the destinations of mappings. */
  readonly sendFailure?: SendFailure | undefined
  /** Absent: no traces are made. */
  readonly batchSpans?: BatchSpans | undefined
  /** Runs a mapping; by default it reads the stream and invokes the function. */
  readonly runMapping?: RunMapping | undefined
  /** Opens the mappings of a cluster. Default: those of the data folder. */
  readonly openMappings?: OpenMappings | undefined
}

/** Mappings, wherever they are. */
export interface OpenedMappings {
  readonly entries: MappingEntries
  /** What is left out, because it is not usable. */
  unusable(): readonly string[]
  /** @param drainMs of running invocations */
  stop(drainMs: number): Promise<void>
}

/** What mappings need to run, beside their checkpoints. */
export interface MappingParts extends Omit<MappingRunnerDependencies, 'checkpoints'> {
  readonly runMapping?: RunMapping | undefined
  readonly accountIdNow: () => string
}

export type OpenMappings = (parts: MappingParts) => Promise<OpenedMappings>

export interface EventSourceMappingsOptions {
  readonly dataDir: string
  /** The folder of the functions: see functions/functions.ts. */
  readonly functionsDir: string
  readonly region: string
  /** Read at each use: `sluice start` may learn the account later, and ARNs follow it. */
  readonly accountId: string
  /** How mappings reach the streams. */
  readonly kinesis: KinesisAccess
  /** Functions beside the folder. */
  readonly heldFunctions?: HeldFunctions | undefined
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

const folderName = 'event-source'
/** The folder of the files of mappings, relative to the data folder. */
export const mappingFolderName = `${folderName}/mappings`
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
  const { kinesis, region } = options
  const functions = createFunctions(dependencies, {
    region,
    directory: options.functionsDir,
    held: options.heldFunctions,
    get accountId() {
      return options.accountId
    },
    ...(options.invokesAws && { aws: createAwsLambdaFunctions(dependencies.clock) }),
  })
  const batches = createRecentBatches()
  const parts = {
    ...dependencies,
    kinesis,
    functions,
    failures: createFailureFiles(path.join(options.dataDir, folderName, 'failures')),
    batches,
    accountIdNow: () => options.accountId,
  }
  const opened = await (dependencies.openMappings?.(parts) ?? openFolder(parts, options))
  const { entries } = opened
  const functionApi = createFunctionApi({ ...dependencies, functions }, options)
  const api = createMappingApi({ ...dependencies, functions, entries }, options)
  return {
    functions: functionApi,
    ...api,
    recentBatches(uuid) {
      // It throws for a mapping that is not there.
      api.get(uuid)
      return batches.of(uuid)
    },
    start: () => entries.start(),
    hold: createHeldMappings({ ...dependencies, functions, entries }, options),
    unusableFiles: () => opened.unusable(),
    async stop({ drainMs }) {
      functionApi.stop()
      await opened.stop(drainMs)
      await functions.close()
    },
  }
}

/** Opens the mappings of the data folder. */
async function openFolder(
  parts: MappingParts,
  options: EventSourceMappingsOptions,
): Promise<OpenedMappings> {
  const folder = path.join(options.dataDir, mappingFolderName)
  const { files, isNew } = await openMappingFiles(folder)
  const checkpoints = await openCheckpoints(options)
  const { sample } = options
  if (isNew && sample) await writeSample(files, sample, options, parts.clock.wallMs())
  const { mappings: stored, unusable: unusableAtFirst } = await files.readAll()
  const removeCheckpoints = (application: string) => checkpoints.forget(application)
  const entries = createMappingEntries(
    { ...parts, files, checkpoints, removeCheckpoints },
    { stored, accountIdNow: parts.accountIdNow },
  )
  const unusable = createUnusableFiles(
    {
      ...parts,
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
    entries,
    unusable: () => unusable.names(),
    async stop(drainMs) {
      unusable.stop()
      await entries.stop(drainMs)
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
