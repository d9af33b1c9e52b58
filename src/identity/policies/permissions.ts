import type { BoundedMap } from '../../base/bounded-map.ts'
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Permissions } from './access.ts'
import { combinePolicies } from './policy.ts'
import type { Policy } from './policy.ts'
import type { PoliciesNow, PolicySet } from './policy-folder.ts'
import type { PolicyVariables } from './policy-pattern.ts'
import type { PolicyTarget } from './policy-targets.ts'
import { resourceArn } from './resource-arn.ts'
import type { ResourceOwner } from './resource-arn.ts'

/**
 * What one connection may do, by a policy that may be replaced while the connection is open.
 *
 * A device sends to a few topics, over and over, so that what was decided is remembered: of the
 * last `decisionsRememberedMax` topics for each action, and the very last without looking it up.
 * All of it is forgotten with the policy that it was decided by, and when the account becomes
 * known.
 */
export interface PermissionsOptions {
  readonly principal: string | undefined
  readonly owner: ResourceOwner
  readonly variables: PolicyVariables
  /**
   * The policy that holds at the time of asking, the same object for as long as it says the same;
   * undefined when none is enforced. Asked for every message.
   */
  readonly policyNow: () => Policy | undefined
}

/** For each of four actions; a topic has at most 256 bytes, and 30 as a rule. */
export const decisionsRememberedMax = 64

export function createPermissions(options: PermissionsOptions): Permissions {
  return {
    principal: options.principal,
    mayPublish: createJudge(options, 'iot:Publish', 'topic'),
    mayRetain: createJudge(options, 'iot:RetainPublish', 'topic'),
    maySubscribe: createJudge(options, 'iot:Subscribe', 'topicfilter'),
    mayReceive: createJudge(options, 'iot:Receive', 'topic'),
  }
}

/** @returns whether the policy that holds now allows to connect under this client id */
export function mayConnect(options: PermissionsOptions, clientId: string): boolean {
  return createJudge(options, 'iot:Connect', 'client')(clientId)
}

/**
 * @param isRegistered whether it is a certificate of the registry, which may do nothing without a
 *   policy
 * @returns the policy of a target as it is now; looked up again when a file has changed
 */
export function followPolicies(
  policies: PoliciesNow,
  target: PolicyTarget,
  isRegistered = false,
): PermissionsOptions['policyNow'] {
  const withoutFolder = isRegistered ? nothing : undefined
  const look = (set: PolicySet | undefined) =>
    set === undefined ? withoutFolder : set.policyOf(target, isRegistered)
  let set = policies.current
  let policy = look(set)
  return () => {
    if (policies.current !== set) {
      set = policies.current
      policy = look(set)
    }
    return policy
  }
}

const nothing = combinePolicies([])

type Judge = (name: string) => boolean

function createJudge(
  { owner, variables, policyNow }: PermissionsOptions,
  action: string,
  kind: 'client' | 'topic' | 'topicfilter',
): Judge {
  let policy: Policy | undefined
  let account: string | undefined
  let decisions: BoundedMap<string, boolean> | undefined
  let last: { readonly name: string; readonly isAllowed: boolean } | undefined

  function decide(by: Policy, name: string): boolean {
    const resource = resourceArn(`${kind}/${name}`, owner)
    return by.decide({ action, resource, variables }) === 'allow'
  }

  function recall(by: Policy, name: string): boolean {
    decisions ??= createBoundedMap(decisionsRememberedMax)
    const known = decisions.get(name)
    if (known !== undefined) return known
    const isAllowed = decide(by, name)
    decisions.set(name, isAllowed)
    return isAllowed
  }

  return (name) => {
    const now = policyNow()
    if (now === undefined) return true
    if (now !== policy || owner.accountId !== account) {
      policy = now
      account = owner.accountId
      decisions = undefined
      last = undefined
    }
    if (last?.name !== name) last = { name, isAllowed: recall(now, name) }
    return last.isAllowed
  }
}
