import type { Clock } from '../../base/clock.ts'
import { SluiceError, invalidRequest, messageOf } from '../../base/errors.ts'
import { compilePolicy } from './policy.ts'
import { policyFolderLimits, policyNameForm } from './policy-folder-reader.ts'
import { noTargets } from './policy-records.ts'
import type { PolicyRecord, PolicyRecords } from './policy-records.ts'
import { readTarget, targetsMax } from './policy-targets.ts'
import type { PolicyTarget } from './policy-targets.ts'
import { defaultOf, policyVersionsMax } from './policy-versions.ts'
import type { PolicyVersion, PolicyVersions } from './policy-versions.ts'

/**
 * The policies of the folder, as the operations of AWS IoT see and change them. Files that are
 * changed by hand and by `sluice policies` are the same ones: nothing of them is kept in memory.
 *
 * Every method that reads or writes files rejects with SluiceError InternalFailureException when it
 * cannot.
 */
export interface PolicyStore {
  /** Names in their order. */
  list(): Promise<readonly string[]>
  /** @throws SluiceError ResourceNotFoundException (rejects) */
  get(name: string): Promise<PolicyVersions>
  /**
   * @throws SluiceError ResourceAlreadyExistsException, MalformedPolicyException,
   *   InvalidRequestException (rejects)
   */
  create(name: string, document: string, tags?: Tags): Promise<PolicyVersions>
  /** @throws SluiceError ResourceNotFoundException, DeleteConflictException (rejects) */
  delete(name: string): Promise<void>
  /**
   * @throws SluiceError ResourceNotFoundException, MalformedPolicyException,
   *   VersionsLimitExceededException (rejects)
   */
  createVersion(name: string, document: string, isDefault: boolean): Promise<PolicyVersion>
  /** @throws SluiceError ResourceNotFoundException (rejects) */
  setDefaultVersion(name: string, versionId: string): Promise<void>
  /** @throws SluiceError ResourceNotFoundException, DeleteConflictException (rejects) */
  deleteVersion(name: string, versionId: string): Promise<void>
  /** @throws SluiceError ResourceNotFoundException (rejects) */
  setTags(name: string, change: (tags: Tags) => Tags): Promise<void>
  /**
   * @throws SluiceError ResourceNotFoundException, InvalidRequestException, LimitExceededException
   *   (rejects)
   */
  attach(name: string, target: PolicyTarget): Promise<void>
  /** A policy that is not attached, or not there, is no error. */
  detach(name: string, target: PolicyTarget): Promise<void>
  /** The names of the policies of a target. */
  readonly policiesOf: (target: PolicyTarget) => Promise<readonly string[]>
  /** @throws SluiceError ResourceNotFoundException (rejects) */
  targetsOf(name: string): Promise<readonly PolicyTarget[]>
}

type Tags = Readonly<Record<string, string>>

interface PolicyStoreDependencies {
  readonly clock: Clock
  readonly arnOf: (resource: string) => string
  /** Brings what the folder says into force. */
  readonly reload: () => Promise<void>
  /** Called before the first policy makes the folder. */
  readonly onFolderMade: () => Promise<void>
}

/** AWS IoT Core quotas: policies of one certificate. */
const policiesOfTargetMax = 10

export function createPolicyStore(
  { clock, arnOf, reload, onFolderMade }: PolicyStoreDependencies,
  records: PolicyRecords,
): PolicyStore {
  const readKnown = async (name: string) => existing(name, await readNamed(records, name))
  const change: ChangePolicy = (name, edit) =>
    guarded(async () => {
      if (!policyNameForm.test(name)) existing(name, undefined)
      await records.change(name, (present) => edit(existing(name, present)))
      await reload()
    })

  async function policiesOf(target: PolicyTarget): Promise<readonly string[]> {
    const found: string[] = []
    for (const name of await records.names()) {
      if ((await records.targetsOf(name)).includes(target)) found.push(name)
    }
    return found
  }

  async function create(name: string, document: string, tags: Tags): Promise<PolicyVersions> {
    checkNew(name, document)
    if (!(await records.isMade())) await onFolderMade()
    const names = await records.names()
    const createdMs = clock.wallMs()
    const versions = [{ versionId: 1, createdMs, document }]
    const made = { defaultVersionId: 1, nextVersionId: 2, createdMs, versions, tags }
    await records.change(name, (present) => {
      if (present) throw alreadyThere(name, arnOf)
      if (names.length >= policyFolderLimits.policiesMax) {
        throw invalidRequest(`there are ${policyFolderLimits.policiesMax} policies already`)
      }
      return { versions: made, targets: noTargets }
    })
    await reload()
    return made
  }

  return {
    list: () => guarded(() => records.names()),
    get: (name) => guarded(async () => (await readKnown(name)).versions),
    create: (name, document, tags = {}) => guarded(() => create(name, document, tags)),
    delete: (name) =>
      change(name, ({ versions: { versions }, targets: [target] }) => {
        if (target !== undefined) {
          throw inUse(`The policy ${name} cannot be deleted: it is attached to ${target}.`)
        }
        if (versions.length > 1) {
          throw inUse(`The policy ${name} cannot be deleted: it has versions besides the default.`)
        }
        return undefined
      }),
    ...versionChanges({ clock, change }),
    setTags: (name, edit) =>
      change(name, ({ versions, targets }) => ({
        versions: { ...versions, tags: edit(versions.tags) },
        targets,
      })),
    ...attachments({ change, policiesOf, readKnown }, records),
    policiesOf: (target) => guarded(() => policiesOf(target)),
    targetsOf: (name) =>
      guarded(async () => {
        await readKnown(name)
        return records.targetsOf(name)
      }),
  }
}

interface AttachmentDependencies extends Pick<PolicyStore, 'policiesOf'> {
  readonly change: ChangePolicy
  readonly readKnown: (name: string) => Promise<PolicyRecord>
}

function attachments(
  { change, policiesOf, readKnown }: AttachmentDependencies,
  records: PolicyRecords,
): Pick<PolicyStore, 'attach' | 'detach'> {
  return {
    attach: (name, target) =>
      guarded(async () => {
        await readKnown(name)
        const others = (await policiesOf(target)).filter((each) => each !== name)
        if (others.length >= policiesOfTargetMax) {
          throw limitExceeded(
            `${target} has ${policiesOfTargetMax} policies, and no more are attached`,
          )
        }
        await change(name, (present) => {
          const { versions, targets } = present
          if (targets.includes(target)) return present
          if (targets.length >= targetsMax) {
            throw limitExceeded(`the policy ${name} has ${targetsMax} targets, and takes no more`)
          }
          return { versions, targets: [...targets, target] }
        })
      }),
    detach: (name, target) =>
      guarded(async () => {
        if (!(await readNamed(records, name))) return
        await change(name, (present) => {
          const { versions, targets } = present
          if (!targets.includes(target)) return present
          return { versions, targets: targets.filter((each) => each !== target) }
        })
      }),
  }
}

/** Changes a policy that is there, and brings it into force. */
type ChangePolicy = (
  name: string,
  edit: (present: PolicyRecord) => PolicyRecord | undefined,
) => Promise<void>

function versionChanges({
  clock,
  change,
}: {
  readonly clock: Clock
  readonly change: ChangePolicy
}): Pick<PolicyStore, 'createVersion' | 'setDefaultVersion' | 'deleteVersion'> {
  return {
    async createVersion(name, document, isDefault) {
      let version: PolicyVersion = { versionId: 0, createdMs: clock.wallMs(), document }
      await change(name, ({ versions: present, targets }) => {
        checkNew(name, document)
        if (present.versions.length >= policyVersionsMax) {
          throw new SluiceError(
            'VersionsLimitExceededException',
            `The policy ${name} has ${policyVersionsMax} versions: delete one first.`,
          )
        }
        const versionId = present.nextVersionId
        version = { ...version, versionId }
        const versions: PolicyVersions = {
          ...present,
          nextVersionId: versionId + 1,
          versions: [...present.versions, version],
          defaultVersionId: isDefault ? versionId : present.defaultVersionId,
        }
        return { versions, targets }
      })
      return version
    },
    setDefaultVersion: (name, id) =>
      change(name, ({ versions: present, targets }) => {
        const { versionId } = versionIn(present, name, id)
        return { versions: { ...present, defaultVersionId: versionId }, targets }
      }),
    deleteVersion: (name, id) =>
      change(name, ({ versions: present, targets }) => {
        const { versionId } = versionIn(present, name, id)
        if (versionId === defaultOf(present).versionId) {
          throw inUse(`Version ${id} of the policy ${name} is the default version.`)
        }
        const versions = present.versions.filter((each) => each.versionId !== versionId)
        return { versions: { ...present, versions }, targets }
      }),
  }
}

/**
 * @param given the ARN of a certificate, or another target of a policy as it is stored
 * @throws SluiceError InvalidRequestException
 */
export const policyTargetOf = (given: string): PolicyTarget => readTarget(given, 'the target')

export function versionIn({ versions }: PolicyVersions, name: string, id: string): PolicyVersion {
  const found = versions.find(({ versionId }) => String(versionId) === id)
  if (found) return found
  throw new SluiceError('ResourceNotFoundException', `The policy ${name} has no version ${id}.`)
}

/** A name that cannot be one of a policy is not looked for: it could lead out of the folder. */
const readNamed = async (
  records: Pick<PolicyRecords, 'read'>,
  name: string,
): Promise<PolicyRecord | undefined> => (policyNameForm.test(name) ? records.read(name) : undefined)

/** @throws SluiceError ResourceNotFoundException */
function existing(name: string, present: PolicyRecord | undefined): PolicyRecord {
  if (present) return present
  throw new SluiceError('ResourceNotFoundException', `The policy ${name} does not exist.`)
}

/** @throws SluiceError InvalidRequestException, MalformedPolicyException */
function checkNew(name: string, document: string): void {
  if (!policyNameForm.test(name)) {
    throw invalidRequest(
      `${JSON.stringify(name)} cannot be the name of a policy: it is the name of a file here`,
    )
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(document)
  } catch (thrown) {
    const message = `policyDocument is not a JSON document: ${messageOf(thrown)}`
    throw new SluiceError('MalformedPolicyException', message, { cause: thrown })
  }
  compilePolicy(parsed, 'policyDocument')
}

function alreadyThere(name: string, arnOf: (resource: string) => string): SluiceError {
  return new SluiceError('ResourceAlreadyExistsException', `The policy ${name} already exists.`, {
    details: { resourceId: name, resourceArn: arnOf(`policy/${name}`) },
  })
}

const inUse = (message: string) => new SluiceError('DeleteConflictException', message)
const limitExceeded = (message: string) => new SluiceError('LimitExceededException', message)

/** A file that cannot be read or written is a fault of the server, not of the caller. */
async function guarded<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act()
  } catch (thrown) {
    if (thrown instanceof SluiceError && thrown.code !== 'IdentityFileInvalid') throw thrown
    throw new SluiceError('InternalFailureException', messageOf(thrown), { cause: thrown })
  }
}
