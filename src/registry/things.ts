import { randomUUID } from 'node:crypto'
import { defined } from '../base/defined.ts'
import { SluiceError, invalidRequest } from '../base/errors.ts'
import { createChanges } from './changes.ts'
import { pageOfNames } from './page-of-names.ts'
import type { PageQuery } from './page-of-names.ts'
import type { OpenRecords } from './records.ts'
import { checkAttributes, thingForm } from './thing-record.ts'
import type { Attributes, Thing, ThingPrincipalType } from './thing-record.ts'

/** The things of the registry, in memory and on disk. What is in memory is on disk. */
export interface Things {
  /** Undefined when there is none of that name. */
  readonly find: (thingName: string) => Thing | undefined
  /** @throws SluiceError ResourceNotFoundException */
  get(thingName: string): Thing
  /**
   * The same thing once more is no error.
   *
   * @throws SluiceError InvalidRequestException, ResourceAlreadyExistsException,
   *   InternalFailureException, ThrottlingException (rejects)
   */
  readonly create: (thingName: string, given: NewThing) => Promise<Thing>
  /** @throws as `create`; ResourceNotFoundException, VersionConflictException (rejects) */
  update(thingName: string, change: ThingChange): Promise<void>
  /**
   * A thing that does not exist is no error.
   *
   * @throws SluiceError VersionConflictException; InvalidRequestException: a certificate is
   *   attached (rejects)
   */
  delete(thingName: string, expectedVersion?: number): Promise<void>
  /** @throws SluiceError InvalidRequestException: the token */
  list(query: ThingQuery): { readonly things: readonly Thing[]; readonly token: string | undefined }
  /** @throws SluiceError ResourceNotFoundException, InvalidRequestException (rejects) */
  readonly attach: (
    thingName: string,
    certificateId: string,
    type: ThingPrincipalType,
  ) => Promise<void>
  /** @throws SluiceError ResourceNotFoundException (rejects) */
  detach(thingName: string, certificateId: string): Promise<void>
  /** The names of the things that a certificate is attached to, in their order. */
  readonly thingsOf: (certificateId: string) => readonly string[]
}

interface NewThing {
  readonly thingTypeName?: string | undefined
  readonly attributes?: Attributes | undefined
}

interface ThingChange extends NewThing {
  /** Whether attributes that are not given stay. */
  readonly isMerged?: boolean | undefined
  readonly removesType?: boolean | undefined
  readonly expectedVersion?: number | undefined
}

interface ThingQuery extends PageQuery {
  readonly attributeName?: string | undefined
  readonly attributeValue?: string | undefined
  /** Whether the value is the beginning of that of the attribute. */
  readonly isPrefix?: boolean | undefined
  readonly thingTypeName?: string | undefined
}

interface ThingsDependencies {
  readonly openRecords: OpenRecords
  readonly arnOf: (resource: string) => string
  /** Whether the registry holds a certificate with this id. */
  readonly hasCertificate: (certificateId: string) => boolean
}

/** Things, which take 50 MB with three attributes each, and certificates of one thing. */
const thingLimits = Object.freeze({ thingsMax: 50_000, principalsMax: 100 })

/** @throws what the system throws (rejects): the folder cannot be made or listed */
export async function openThings({
  openRecords,
  arnOf,
  hasCertificate,
}: ThingsDependencies): Promise<Things> {
  const files = await openRecords('things', thingForm)
  const book = createBook()
  files.follow((thingName, thing) => (thing ? book.set(thing) : book.delete(thingName)))
  const changes = createChanges(files)

  async function write(thing: Thing, before?: Thing): Promise<void> {
    const { attributes, principals, ...members } = thing
    const stored = { ...members, attributes: { ...attributes }, principals: { ...principals } }
    await files.write(defined(stored), before)
  }

  const { create, attach } = createAdditions({ book, write, arnOf, hasCertificate })
  return {
    find: book.find,
    get: (thingName) => book.get(thingName),
    create: (thingName, given) => changes.run(() => create(thingName, given)),
    update: (thingName, change) =>
      changes.run(async () => {
        const thing = book.get(thingName)
        refuseVersion(thing, change.expectedVersion)
        await write(changed(thing, change), thing)
      }),
    delete: (thingName, expectedVersion) =>
      changes.run(async () => {
        const thing = book.find(thingName)
        if (!thing) return
        refuseVersion(thing, expectedVersion)
        if (Object.keys(thing.principals).length > 0) {
          throw invalidRequest(
            `Thing ${thingName} cannot be deleted: certificates are attached to it`,
          )
        }
        await files.remove(thingName, thing)
      }),
    list: (query) => book.list(query),
    attach: (...attachment) => changes.run(() => attach(...attachment)),
    detach: (thingName, certificateId) =>
      changes.run(async () => {
        const thing = book.get(thingName)
        const { [certificateId]: attached, ...principals } = thing.principals
        if (attached === undefined) return
        await write({ ...thing, principals }, thing)
      }),
    thingsOf: book.thingsOf,
  }
}

type Book = ReturnType<typeof createBook>

function createAdditions({
  book,
  write,
  arnOf,
  hasCertificate,
}: Omit<ThingsDependencies, 'openRecords'> & {
  readonly book: Book
  readonly write: (thing: Thing, before?: Thing) => Promise<void>
}): Pick<Things, 'create' | 'attach'> {
  return {
    async create(thingName, { thingTypeName, attributes: given = {} }) {
      const attributes = checkAttributes(given, thingTypeName)
      const present = book.find(thingName)
      if (present) {
        if (isSame(present, { thingTypeName, attributes })) return present
        throw existing(thingName, present, arnOf)
      }
      if (book.count() >= thingLimits.thingsMax) {
        throw invalidRequest(`there are ${thingLimits.thingsMax} things, and no more are taken`)
      }
      const thingId = randomUUID()
      const base = { thingName, thingId, thingTypeName, attributes }
      const thing: Thing = { ...base, version: 1, principals: {} }
      await write(thing)
      return thing
    },

    async attach(thingName, certificateId, type) {
      const thing = book.get(thingName)
      if (!hasCertificate(certificateId)) throw notFound(`there is no certificate ${certificateId}`)
      refuseShared(book, thing, certificateId, type)
      if (thing.principals[certificateId] === type) return
      const principals = { ...thing.principals, [certificateId]: type }
      if (Object.keys(principals).length > thingLimits.principalsMax) {
        throw invalidRequest(`a thing has at most ${thingLimits.principalsMax} certificates`)
      }
      await write({ ...thing, principals }, thing)
    },
  }
}

/** Things by name, and by certificate. */
function createBook() {
  const byName = new Map<string, Thing>()
  const byPrincipal = new Map<string, Set<string>>()
  let sorted: readonly string[] | undefined

  function forget({ thingName, principals }: Thing): void {
    for (const id of Object.keys(principals)) {
      const names = byPrincipal.get(id)
      names?.delete(thingName)
      if (names?.size === 0) byPrincipal.delete(id)
    }
  }
  function set(thing: Thing): void {
    const before = byName.get(thing.thingName)
    if (before) forget(before)
    else sorted = undefined
    byName.set(thing.thingName, thing)
    for (const id of Object.keys(thing.principals)) {
      byPrincipal.set(id, (byPrincipal.get(id) ?? new Set()).add(thing.thingName))
    }
  }

  return {
    set,
    count: () => byName.size,
    find: (thingName: string) => byName.get(thingName),
    get(thingName: string): Thing {
      const thing = byName.get(thingName)
      if (thing) return thing
      throw notFound(`Thing ${thingName} does not exist.`)
    },
    delete(thingName: string): void {
      const thing = byName.get(thingName)
      if (!thing) return
      forget(thing)
      byName.delete(thingName)
      sorted = undefined
    },
    list(query: ThingQuery) {
      sorted ??= [...byName.keys()].toSorted()
      const page = pageOfNames(sorted, query, (name) => isWanted(byName.get(name), query))
      const things = page.names.flatMap((name) => byName.get(name) ?? [])
      return { things, token: page.token }
    },
    thingsOf: (certificateId: string) => [...(byPrincipal.get(certificateId) ?? [])].toSorted(),
  }
}

function isWanted(thing: Thing | undefined, query: ThingQuery): boolean {
  if (!thing) return false
  const { attributeName, attributeValue, isPrefix = false, thingTypeName } = query
  if (thingTypeName !== undefined && thing.thingTypeName !== thingTypeName) return false
  if (attributeName === undefined) return true
  const value = Object.hasOwn(thing.attributes, attributeName)
    ? thing.attributes[attributeName]
    : undefined
  if (value === undefined || attributeValue === undefined) return value !== undefined
  return isPrefix ? value.startsWith(attributeValue) : value === attributeValue
}

function changed(thing: Thing, change: ThingChange): Thing {
  const { thingTypeName: given, attributes: added, isMerged = false, removesType = false } = change
  if (removesType && given !== undefined) {
    throw invalidRequest('thingTypeName and removeThingType are given: one of both is taken')
  }
  const thingTypeName = removesType ? undefined : (given ?? thing.thingTypeName)
  const wanted =
    added === undefined ? thing.attributes : isMerged ? { ...thing.attributes, ...added } : added
  const attributes = checkAttributes(wanted, thingTypeName)
  return { ...thing, thingTypeName, attributes, version: thing.version + 1 }
}

function isSame(thing: Thing, { thingTypeName, attributes = {} }: NewThing): boolean {
  const entries = Object.entries(attributes)
  return (
    thing.thingTypeName === thingTypeName &&
    Object.keys(thing.attributes).length === entries.length &&
    entries.every(([name, value]) => thing.attributes[name] === value)
  )
}

function refuseVersion({ thingName, version }: Thing, expected: number | undefined): void {
  if (expected === undefined || expected === version) return
  throw new SluiceError(
    'VersionConflictException',
    `Thing ${thingName} has version ${version}, not ${expected}`,
  )
}

/** A certificate that belongs to one thing exclusively belongs to no other. */
function refuseShared(
  book: Pick<Book, 'thingsOf' | 'find'>,
  { thingName }: Thing,
  certificateId: string,
  type: ThingPrincipalType,
): void {
  const others = book.thingsOf(certificateId).filter((name) => name !== thingName)
  const exclusive = others.find(
    (name) => book.find(name)?.principals[certificateId] === 'EXCLUSIVE_THING',
  )
  const other = type === 'EXCLUSIVE_THING' ? others[0] : exclusive
  if (other === undefined) return
  throw invalidRequest(
    exclusive === undefined
      ? `the certificate is attached to the thing ${other}, so it cannot belong to one thing alone`
      : `the certificate belongs to the thing ${exclusive} alone`,
  )
}

function existing(thingName: string, { thingId }: Thing, arnOf: (resource: string) => string) {
  return new SluiceError(
    'ResourceAlreadyExistsException',
    `Thing ${thingName} already exists with other attributes or another type`,
    { details: { resourceId: thingId, resourceArn: arnOf(`thing/${thingName}`) } },
  )
}

const notFound = (message: string) => new SluiceError('ResourceNotFoundException', message)
