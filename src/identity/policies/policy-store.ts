import path from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { SluiceError, invalidRequest, messageOf } from '../../base/errors.ts'
import { withFileLock } from '../../storage/file-lock.ts'
import { ifPresent, nodeFileReads } from '../../storage/file-reads.ts'
import { removeDurably } from '../../storage/durable-file.ts'
import { attachPolicy, detachPolicy, targetsOf } from './policy-attachments.ts'
import { compilePolicy } from './policy.ts'
import {
  listPolicyFiles,
  metaSuffix,
  policyFolderLimits,
  policyNameForm,
} from './policy-folder-reader.ts'
import { readTarget } from './policy-targets.ts'
import type { PolicyTarget } from './policy-targets.ts'
import {
  defaultOf,
  policyVersionsMax,
  readVersions,
  removeVersions,
  writeVersions,
} from './policy-versions.ts'
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
  directory: string,
): PolicyStore {
  const get = (name: string) => versionsOf(directory, name)
  const list = async () =>
    ((await listPolicyFiles(directory)) ?? [])
      .filter((file) => !file.endsWith(metaSuffix))
      .map((file) => file.slice(0, -'.json'.length))

  /** Changes of one policy come one after the other, also those of other processes. */
  const change: ChangePolicy = (name, act) =>
    guarded(async () => {
      const result = await withFileLock(path.join(directory, name + metaSuffix), act)
      await reload()
      return result
    })

  async function policiesOf(target: PolicyTarget): Promise<readonly string[]> {
    const found: string[] = []
    for (const name of await list()) {
      if ((await targetsOf(directory, name)).includes(target)) found.push(name)
    }
    return found
  }

  async function create(name: string, document: string, tags: Tags): Promise<PolicyVersions> {
    checkNew(name, document)
    if ((await ifPresent(nodeFileReads.stat(directory))) === undefined) await onFolderMade()
    return change(name, async () => {
      if (await readVersions(directory, name)) throw existing(name, arnOf)
      if ((await list()).length >= policyFolderLimits.policiesMax) {
        throw invalidRequest(`there are ${policyFolderLimits.policiesMax} policies already`)
      }
      const createdMs = clock.wallMs()
      const versions = [{ versionId: 1, createdMs, document }]
      const made = { defaultVersionId: 1, nextVersionId: 2, createdMs, versions, tags }
      await writeVersions(directory, name, made)
      return made
    })
  }

  return {
    list: () => guarded(list),
    get: (name) => guarded(() => get(name)),
    create: (name, document, tags = {}) => guarded(() => create(name, document, tags)),
    delete: (name) =>
      change(name, async () => {
        const { versions } = await get(name)
        const [target] = await targetsOf(directory, name)
        if (target !== undefined) {
          throw inUse(`The policy ${name} cannot be deleted: it is attached to ${target}.`)
        }
        if (versions.length > 1) {
          throw inUse(`The policy ${name} cannot be deleted: it has versions besides the default.`)
        }
        await removeDurably(path.join(directory, name + metaSuffix))
        await removeVersions(directory, name)
      }),
    ...versionChanges({ clock, change }, directory),
    setTags: (name, edit) =>
      change(name, async () => {
        const present = await get(name)
        await writeVersions(directory, name, { ...present, tags: edit(present.tags) })
      }),
    ...attachments({ reload, policiesOf }, directory),
    policiesOf: (target) => guarded(() => policiesOf(target)),
    targetsOf: (name) =>
      guarded(async () => {
        await get(name)
        return targetsOf(directory, name)
      }),
  }
}

function attachments(
  { reload, policiesOf }: Pick<PolicyStoreDependencies, 'reload'> & Pick<PolicyStore, 'policiesOf'>,
  directory: string,
): Pick<PolicyStore, 'attach' | 'detach'> {
  return {
    attach: (name, target) =>
      guarded(async () => {
        await versionsOf(directory, name)
        const others = (await policiesOf(target)).filter((each) => each !== name)
        if (others.length >= policiesOfTargetMax) {
          throw new SluiceError(
            'LimitExceededException',
            `${target} has ${policiesOfTargetMax} policies, and no more are attached`,
          )
        }
        await attachPolicy(directory, name, target)
        await reload()
      }),
    detach: (name, target) =>
      guarded(async () => {
        if (!(await isPresent(directory, name))) return
        await detachPolicy(directory, name, target)
        await reload()
      }),
  }
}

/** Runs a change of the files of a policy, and brings them into force. */
type ChangePolicy = <Result>(name: string, act: () => Promise<Result>) => Promise<Result>

function versionChanges(
  { clock, change }: { readonly clock: Clock; readonly change: ChangePolicy },
  directory: string,
): Pick<PolicyStore, 'createVersion' | 'setDefaultVersion' | 'deleteVersion'> {
  return {
    createVersion: (name, document, isDefault) =>
      change(name, async () => {
        const present = await versionsOf(directory, name)
        checkNew(name, document)
        if (present.versions.length >= policyVersionsMax) {
          throw new SluiceError(
            'VersionsLimitExceededException',
            `The policy ${name} has ${policyVersionsMax} versions: delete one first.`,
          )
        }
        const versionId = present.nextVersionId
        const version = { versionId, createdMs: clock.wallMs(), document }
        await writeVersions(directory, name, {
          ...present,
          nextVersionId: versionId + 1,
          versions: [...present.versions, version],
          defaultVersionId: isDefault ? versionId : present.defaultVersionId,
        })
        return version
      }),
    setDefaultVersion: (name, id) =>
      change(name, async () => {
        const present = await versionsOf(directory, name)
        const { versionId } = versionIn(present, name, id)
        await writeVersions(directory, name, { ...present, defaultVersionId: versionId })
      }),
    deleteVersion: (name, id) =>
      change(name, async () => {
        const present = await versionsOf(directory, name)
        const { versionId } = versionIn(present, name, id)
        if (versionId === defaultOf(present).versionId) {
          throw inUse(`Version ${id} of the policy ${name} is the default version.`)
        }
        const versions = present.versions.filter((each) => each.versionId !== versionId)
        await writeVersions(directory, name, { ...present, versions })
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

async function versionsOf(directory: string, name: string): Promise<PolicyVersions> {
  const found = policyNameForm.test(name) ? await readVersions(directory, name) : undefined
  if (found) return found
  throw new SluiceError('ResourceNotFoundException', `The policy ${name} does not exist.`)
}

const isPresent = async (directory: string, name: string): Promise<boolean> =>
  policyNameForm.test(name) && (await readVersions(directory, name)) !== undefined

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

function existing(name: string, arnOf: (resource: string) => string): SluiceError {
  return new SluiceError('ResourceAlreadyExistsException', `The policy ${name} already exists.`, {
    details: { resourceId: name, resourceArn: arnOf(`policy/${name}`) },
  })
}

const inUse = (message: string) => new SluiceError('DeleteConflictException', message)

/** A file that cannot be read or written is a fault of the server, not of the caller. */
async function guarded<Result>(act: () => Promise<Result>): Promise<Result> {
  try {
    return await act()
  } catch (thrown) {
    if (thrown instanceof SluiceError && thrown.code !== 'IdentityFileInvalid') throw thrown
    throw new SluiceError('InternalFailureException', messageOf(thrown), { cause: thrown })
  }
}
