import { randomUUID } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { SluiceError } from '../base/errors.ts'
import { checkTags } from '../base/resource-tags.ts'
import type { KinesisAccess } from '../consumers/kinesis-access.ts'
import { createKinesisReads } from '../consumers/kinesis-reads.ts'
import { nameOf } from '../consumers/retry-backoff.ts'
import type { Logger } from '../telemetry/telemetry.ts'
import { membersOfPattern } from './filters/filter-pattern.ts'
import { arnOfFunction, parseFunctionName } from './functions/function-name.ts'
import type { Functions } from './functions/functions.ts'
import type { MappingEntries, MappingEntry } from './mapping-entries.ts'
import { settingsOfCreate, settingsOfUpdate } from './mapping-request.ts'
import type { EventSource, MappingSettings } from './mapping-settings.ts'
import { invalidParameter } from './validation-error.ts'

/** Lambda's operations. @throws SluiceError with Lambda's codes */
export interface EventSourceMappingApi {
  create(body: unknown): Promise<MappingConfiguration>
  get(uuid: string): MappingConfiguration
  update(uuid: string, body: unknown): Promise<MappingConfiguration>
  delete(uuid: string): Promise<MappingConfiguration>
  list(query: ListQuery): MappingPage
  /** The tags of a mapping. */
  tags(uuid: string): Tags
  /** Changes the tags of a mapping; the mapping itself runs on. */
  setTags(uuid: string, change: (tags: Tags) => Tags): Promise<void>
}

type Tags = Readonly<Record<string, string>>

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

interface MappingApiDependencies {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn'>
  readonly functions: Functions
  readonly entries: MappingEntries
}

interface MappingApiOptions {
  readonly region: string
  /** Read at each use: `sluice start` may learn the account later. */
  readonly accountId: string
  readonly kinesis: KinesisAccess
}

export const mappingsMax = 1_000
const listedDefault = 100

export function createMappingApi(
  dependencies: MappingApiDependencies,
  options: MappingApiOptions,
): EventSourceMappingApi {
  const { clock, logger, functions, entries } = dependencies
  const configurationOf = (entry: MappingEntry) => describe(entry, options)

  function find(uuid: string): MappingEntry {
    const entry = entries.find(uuid)
    if (entry) return entry
    throw notFound()
  }

  function refuseChange(uuid: string, verb: 'update' | 'delete'): void {
    if (!entries.isChanging(uuid)) return
    throw inUse(verb)
  }

  return {
    create: async (body) => configurationOf(await createMapping(dependencies, options, body)),
    get: (uuid) => configurationOf(find(uuid)),
    async update(uuid, body) {
      await entries.caughtUp?.()
      const wanted = settingsOfUpdate(find(uuid).stored.settings, body)
      if (wanted.FunctionName !== find(uuid).stored.settings.FunctionName) {
        await refuseFaultyFunction(functions, wanted.FunctionName)
      }
      // Another change may have been made meanwhile: from here to the writer nothing is awaited.
      const settings = settingsOfUpdate(find(uuid).stored.settings, body)
      refuseChange(uuid, 'update')
      const same = findSame(entries, settings, options, uuid)
      if (same) throw alreadyExists(same)
      const { stored } = find(uuid)
      const entry = await entries.replace({ ...stored, settings, lastModifiedMs: clock.wallMs() })
      warnOfFilters(logger, entry)
      return configurationOf(entry)
    },
    async delete(uuid) {
      await entries.caughtUp?.()
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
    tags: (uuid) => find(uuid).stored.tags ?? {},
    async setTags(uuid, change) {
      await entries.caughtUp?.()
      find(uuid)
      const isThere = await entries.setTags(uuid, (tags) => checkTags(Object.entries(change(tags))))
      if (!isThere) throw notFound()
    },
  }
}

const notFound = () =>
  new SluiceError('ResourceNotFoundException', 'The resource you requested does not exist.')

/** Another change is under way. */
export const inUse = (verb: 'update' | 'delete') =>
  new SluiceError(
    'ResourceInUseException',
    `Cannot ${verb} the event source mapping because it is in use.`,
  )

/**
 * @throws SluiceError ResourceNotFoundException for a function that is not there,
 *   InvalidParameterValueException for one that cannot be loaded (rejects)
 */
async function refuseFaultyFunction(functions: Functions, functionName: string): Promise<void> {
  const fault = await functions.faultOf(parseFunctionName(functionName))
  if (fault !== undefined) throw invalidParameter(`The function cannot be invoked: ${fault}`)
}

async function createMapping(
  { clock, logger, functions, entries }: MappingApiDependencies,
  options: MappingApiOptions,
  body: unknown,
): Promise<MappingEntry> {
  const nowMs = clock.wallMs()
  const { settings, source, tags } = settingsOfCreate(body, nowMs)
  await refuseFaultyFunction(functions, settings.FunctionName)
  await refuseMissingSource(clock, source, options.kinesis)
  await entries.caughtUp?.()
  const same = findSame(entries, settings, options)
  if (same) throw alreadyExists(same)
  if (entries.all().length >= mappingsMax) {
    throw invalidParameter(`There are ${mappingsMax} event source mappings, which is the limit.`)
  }
  const entry = await entries.add({ uuid: randomUUID(), settings, tags, lastModifiedMs: nowMs })
  const { uuid } = entry.stored
  // Two nodes of a cluster may have made it at once: the earlier one stays.
  const other = findSame(entries, settings, options, uuid)
  if (other && (other.revision ?? 0) < (entry.revision ?? 0)) {
    await entries.remove(uuid)
    throw alreadyExists(other)
  }
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
export function findSame(
  entries: MappingEntries,
  settings: MappingSettings,
  options: Pick<MappingApiOptions, 'region' | 'accountId'>,
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
  options: MappingApiOptions,
): boolean {
  if (EventSourceArn !== undefined && settings.EventSourceArn !== EventSourceArn) return false
  if (FunctionName === undefined) return true
  return arnOf(settings.FunctionName, options) === arnOf(FunctionName, options)
}

function describe(entry: MappingEntry, options: MappingApiOptions): MappingConfiguration {
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
