import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { SluiceError, invalidRequest, messageOf } from '../../base/errors.ts'
import { compilePolicy } from './policy.ts'
import { withFileLock } from '../../storage/file-lock.ts'
import { isAbsent } from '../../storage/file-reads.ts'
import { listPolicyFiles, metaSuffix, policyNameForm } from './policy-folder-reader.ts'
import { parsePolicyTargets, readTarget } from './policy-targets.ts'
import type { PolicyTarget } from './policy-targets.ts'
import { principalOf } from './principal.ts'
import { invalidFile, readPublicFile, writePublicFile } from '../../storage/secret-file.ts'
import { withoutSchemaLink } from '../../storage/schema-link.ts'

/** Lists the policies folder, and attaches and detaches policies. */
export interface ListedPolicy {
  readonly name: string
  readonly targets: readonly PolicyTarget[]
  /** Why the policy or its targets are not valid. */
  readonly problem?: string
}

/**
 * @returns the policies in the order of their names; undefined without a folder
 * @throws SluiceError IdentityFileInvalid
 */
export async function listPolicies(
  directory: string,
): Promise<readonly ListedPolicy[] | undefined> {
  const files = await listPolicyFiles(directory)
  const names = files?.filter((file) => !file.endsWith(metaSuffix))
  return (
    names && Promise.all(names.map((file) => describe(directory, file.slice(0, -'.json'.length))))
  )
}

async function describe(directory: string, name: string): Promise<ListedPolicy> {
  try {
    const document = await readPublicFile(path.join(directory, `${name}.json`))
    compilePolicy(withoutSchemaLink(JSON.parse(document?.text ?? '')), `${name}.json`)
    return { name, targets: await targetsOf(directory, name) }
  } catch (thrown) {
    return { name, targets: [], problem: messageOf(thrown) }
  }
}

/**
 * @param target one of a policy, or the file of a client certificate
 * @returns the target in the spelling that is stored, and whether it was added
 * @throws SluiceError InvalidRequestException, IdentityFileInvalid
 */
export function attachPolicy(
  directory: string,
  name: string,
  target: string,
): Promise<AttachmentChange> {
  return change(directory, name, target, (targets, wanted) =>
    targets.includes(wanted) ? targets : [...targets, wanted],
  )
}

/** The reverse. */
export function detachPolicy(
  directory: string,
  name: string,
  target: string,
): Promise<AttachmentChange> {
  return change(directory, name, target, (targets, wanted) =>
    targets.includes(wanted) ? targets.filter((each) => each !== wanted) : targets,
  )
}

export interface AttachmentChange {
  readonly target: PolicyTarget
  readonly isChanged: boolean
}

async function change(
  directory: string,
  name: string,
  given: string,
  edit: (targets: readonly PolicyTarget[], wanted: PolicyTarget) => readonly PolicyTarget[],
): Promise<AttachmentChange> {
  await requirePolicy(directory, name)
  const target = await policyTargetOf(given)
  const file = path.join(directory, name + metaSuffix)
  // One at a time, also of other processes.
  return withFileLock(file, async () => {
    const before = await targetsOf(directory, name)
    const targets = edit(before, target)
    if (targets === before) return { target, isChanged: false }
    const text = JSON.stringify({ targets }, undefined, 2)
    await writePublicFile(file, `${text}\n`)
    return { target, isChanged: true }
  })
}

async function requirePolicy(directory: string, name: string): Promise<void> {
  const file = path.join(directory, `${name}.json`)
  // The form keeps the name within the folder.
  if (!policyNameForm.test(name) || !(await isFile(file)))
    throw invalidRequest(`there is no policy ${JSON.stringify(name)} in ${directory}`)
}

/** @throws SluiceError IdentityFileInvalid: the system does not say */
async function isFile(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile()
  } catch (thrown) {
    if (isAbsent(thrown)) return false
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

/** @throws SluiceError IdentityFileInvalid (rejects) */
export async function targetsOf(directory: string, name: string): Promise<readonly PolicyTarget[]> {
  const file = path.join(directory, name + metaSuffix)
  const meta = await readPublicFile(file)
  if (!meta) return []
  try {
    return parsePolicyTargets(meta.text)
  } catch (thrown) {
    throw invalidFile(file, messageOf(thrown), thrown)
  }
}

/**
 * @param given a target in one of its spellings, or the file of a client certificate
 * @throws SluiceError InvalidRequestException (rejects)
 */
export async function policyTargetOf(given: string): Promise<PolicyTarget> {
  if (!/\.(?:pem|crt|cer)$/i.test(given)) return readTarget(given, 'the target')
  try {
    return `cert:${principalOf(await readFile(given))}`
  } catch (thrown) {
    const text = `${given}: not a certificate: ${messageOf(thrown)}`
    throw new SluiceError('InvalidRequestException', text, { cause: thrown })
  }
}
