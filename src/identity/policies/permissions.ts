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
  return new ConnectionPermissions(options)
}

/** A class, because every connection has one. What it remembers is made for the first question. */
class ConnectionPermissions implements Permissions {
  readonly principal: string | undefined
  private readonly options: PermissionsOptions
  private publishing: Judge | undefined
  private retaining: Judge | undefined
  private subscribing: Judge | undefined
  private receiving: Judge | undefined

  constructor(options: PermissionsOptions) {
    this.principal = options.principal
    this.options = options
  }

  mayPublish(topic: string): boolean {
    this.publishing ??= new Judge(this.options, 'iot:Publish', 'topic')
    return this.publishing.allows(topic)
  }

  mayRetain(topic: string): boolean {
    this.retaining ??= new Judge(this.options, 'iot:RetainPublish', 'topic')
    return this.retaining.allows(topic)
  }

  maySubscribe(filter: string): boolean {
    this.subscribing ??= new Judge(this.options, 'iot:Subscribe', 'topicfilter')
    return this.subscribing.allows(filter)
  }

  mayReceive(topic: string): boolean {
    this.receiving ??= new Judge(this.options, 'iot:Receive', 'topic')
    return this.receiving.allows(topic)
  }
}

/** @returns whether the policy that holds now allows to connect under this client id */
export function mayConnect(options: PermissionsOptions, clientId: string): boolean {
  return new Judge(options, 'iot:Connect', 'client').allows(clientId)
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

/** Decides on one action, and remembers what it decided. */
class Judge {
  private readonly options: PermissionsOptions
  private readonly action: string
  private readonly kind: 'client' | 'topic' | 'topicfilter'
  private policy: Policy | undefined
  private account: string | undefined
  private decisions: BoundedMap<string, boolean> | undefined
  private lastName: string | undefined
  private isLastAllowed = false

  constructor(options: PermissionsOptions, action: string, kind: Judge['kind']) {
    this.options = options
    this.action = action
    this.kind = kind
  }

  allows(name: string): boolean {
    const { policyNow, owner } = this.options
    const now = policyNow()
    if (now === undefined) return true
    if (now !== this.policy || owner.accountId !== this.account) {
      this.policy = now
      this.account = owner.accountId
      this.decisions = undefined
      this.lastName = undefined
    }
    if (this.lastName !== name) {
      this.isLastAllowed = this.recall(now, name)
      this.lastName = name
    }
    return this.isLastAllowed
  }

  private recall(by: Policy, name: string): boolean {
    this.decisions ??= createBoundedMap(decisionsRememberedMax)
    const known = this.decisions.get(name)
    if (known !== undefined) return known
    const isAllowed = this.decide(by, name)
    this.decisions.set(name, isAllowed)
    return isAllowed
  }

  private decide(by: Policy, name: string): boolean {
    const { owner, variables } = this.options
    const resource = resourceArn(`${this.kind}/${name}`, owner)
    return by.decide({ action: this.action, resource, variables }) === 'allow'
  }
}
