import { SluiceError, invalidRequest } from '../../base/errors.ts'
import type { ClusterState } from '../../cluster/state/cluster-state.ts'
import { accessKeysMax, makeAccessKey } from '../../identity/access-keys/access-keys.ts'
import type { NewAccessKey } from '../../identity/access-keys/access-keys.ts'
import { checkedUser, usersMax } from '../../identity/passwords/password-file.ts'
import { hashPassword } from '../../identity/passwords/password-hash.ts'
import type { ScryptCost } from '../../identity/passwords/password-hash.ts'
import { secretKinds } from '../../identity/shared-secrets.ts'

type Views = Pick<ClusterState, 'view'>

/**
 * Gives a user of a cluster a password.
 *
 * @returns whether the user was there before
 * @throws SluiceError InvalidRequestException, ConflictingResourceUpdateException,
 *   ServiceUnavailableException (rejects)
 */
export async function setClusterPassword(
  state: Views,
  { user, password, cost }: { user: string; password: string; cost?: ScryptCost },
): Promise<boolean> {
  const view = state.view(secretKinds.password)
  const hash = await hashPassword(password, cost)
  const before = view.get(checkedUser(user))
  if (!before && view.names().length >= usersMax)
    throw invalidRequest(`more than ${usersMax} users`)
  if (!(await view.put(user, hash, before?.revision))) throw changedMeanwhile(user)
  return before !== undefined
}

/**
 * @returns whether the user was there
 * @throws SluiceError as above (rejects)
 */
export async function removeClusterUser(state: Views, user: string): Promise<boolean> {
  const view = state.view(secretKinds.password)
  const before = view.get(checkedUser(user))
  if (!before) return false
  if (!(await view.remove(user, before.revision))) throw changedMeanwhile(user)
  return true
}

/**
 * Makes an access key of a cluster.
 *
 * @returns the pair; besides, the secret is only in the cluster
 * @throws SluiceError MalformedPolicyException, InvalidRequestException,
 *   ServiceUnavailableException (rejects)
 */
export async function createClusterAccessKey(state: Views, given: NewAccessKey) {
  const view = state.view(secretKinds.accessKey)
  if (view.names().length >= accessKeysMax) {
    throw invalidRequest(`there are ${accessKeysMax} access keys already`)
  }
  const key = makeAccessKey(given)
  const { accessKeyId, secretAccessKey } = key
  if (!(await view.put(accessKeyId, JSON.stringify(key), undefined))) {
    throw changedMeanwhile(accessKeyId)
  }
  return { accessKeyId, secretAccessKey }
}

/**
 * @returns whether the key was there, and how many keys are left
 * @throws SluiceError ConflictingResourceUpdateException, ServiceUnavailableException (rejects)
 */
export async function deleteClusterAccessKey(state: Views, accessKeyId: string) {
  const view = state.view(secretKinds.accessKey)
  const before = view.get(accessKeyId)
  const others = view.names().filter((name) => name !== accessKeyId)
  if (before && !(await view.remove(accessKeyId, before.revision))) {
    throw changedMeanwhile(accessKeyId)
  }
  return { wasThere: before !== undefined, left: others.length }
}

function changedMeanwhile(name: string): SluiceError {
  return new SluiceError(
    'ConflictingResourceUpdateException',
    `${name} was changed by somebody else meanwhile: try again`,
  )
}
