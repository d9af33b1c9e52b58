import { SluiceError, invalidRequest, messageOf } from '../../base/errors.ts'
import type { ClusterState } from '../../cluster/state/cluster-state.ts'
import { policyTargetOf } from '../../identity/policies/policy-attachments.ts'
import type { AttachmentChange, ListedPolicy } from '../../identity/policies/policy-attachments.ts'
import type { PolicyRecords } from '../../identity/policies/policy-records.ts'
import { targetsMax } from '../../identity/policies/policy-targets.ts'
import { createSharedPolicies, policyKinds } from '../../identity/policies/shared-policies.ts'

type Views = Pick<ClusterState, 'view' | 'place'>

const recordsOf = ({ view, place }: Views): PolicyRecords =>
  createSharedPolicies({
    policies: view(policyKinds.policy),
    scope: view(policyKinds.scope),
    place,
  })

/**
 * The policies of a cluster, as `listPolicies` gives those of a folder.
 *
 * @returns undefined when none was ever made, so that nothing is enforced
 */
export async function listClusterPolicies(
  state: Views,
): Promise<readonly ListedPolicy[] | undefined> {
  const records = recordsOf(state)
  if (!(await records.isMade())) return undefined
  const names = await records.names()
  return Promise.all(
    names.map(async (name): Promise<ListedPolicy> => {
      try {
        return { name, targets: await records.targetsOf(name) }
      } catch (thrown) {
        return { name, targets: [], problem: messageOf(thrown) }
      }
    }),
  )
}

/**
 * Attaches a policy of a cluster to a target, or takes it away.
 *
 * @param given.target one of a policy, or the file of a client certificate
 * @returns the target in the spelling that is stored, and whether something changed
 * @throws SluiceError InvalidRequestException, LimitExceededException,
 *   ConflictingResourceUpdateException, ServiceUnavailableException (rejects)
 */
export async function changeClusterPolicy(
  state: Views,
  verb: 'attach' | 'detach',
  given: { readonly policy: string; readonly target: string },
): Promise<AttachmentChange> {
  const { policy } = given
  const target = await policyTargetOf(given.target)
  let isChanged = false
  await recordsOf(state).change(policy, (present) => {
    if (present === undefined) {
      throw invalidRequest(`there is no policy ${JSON.stringify(policy)} in ${state.place}`)
    }
    const { versions, targets } = present
    isChanged = targets.includes(target) === (verb === 'detach')
    if (!isChanged) return present
    if (verb === 'detach') return { versions, targets: targets.filter((each) => each !== target) }
    if (targets.length < targetsMax) return { versions, targets: [...targets, target] }
    throw new SluiceError(
      'LimitExceededException',
      `the policy ${policy} has ${targetsMax} targets, and takes no more`,
    )
  })
  return { target, isChanged }
}
