import { SluiceError, messageOf } from '../../base/errors.ts'
import { classify } from '../../aws/call/failure-class.ts'
import { deliveryDefaults, errorActionIndex } from '../../outbox/outbox.ts'
import { deliveryOf } from '../../rules/delivery.ts'
import type { RuleDelivery } from '../../rules/delivery.ts'
import type { TopicRulePayload } from '../../rules/payload.ts'
import type { Logger } from '../../telemetry/telemetry.ts'

/**
 * Assumes the roles of a rule when it is created or replaced, as AWS IoT does. A role that cannot
 * be assumed then fails the request, instead of records that wait later.
 *
 * @throws SluiceError InvalidRequestException (rejects): the first role that STS refuses. Terraform
 *   retries on the text `sts:AssumeRole`, because a new role takes a while to be known everywhere.
 */
export type RoleProbe = (payload: TopicRulePayload, delivery?: RuleDelivery) => Promise<void>

interface RoleProbeDependencies {
  /** Rejects with the error of STS or of the network. */
  readonly assumeRole: (roleArn: string, externalId?: string) => Promise<unknown>
  readonly logger: Pick<Logger, 'warn'>
}

export function createRoleProbe({ assumeRole, logger }: RoleProbeDependencies): RoleProbe {
  const probe = async ({ roleArn, externalId }: ProbedRole): Promise<void> => {
    try {
      await assumeRole(roleArn, externalId)
    } catch (thrown) {
      const reason = messageOf(thrown)
      if (!isRefused(thrown)) {
        // Rules can also be changed while an engine at the edge has no connection to AWS.
        logger.warn({ roleArn, reason }, 'STS cannot be asked whether a role can be assumed')
        return
      }
      throw new SluiceError(
        'InvalidRequestException',
        `unable to assume role (sts:AssumeRole) on resource: ${roleArn}: ${reason}`,
        { cause: thrown },
      )
    }
  }
  return async (payload, delivery = {}) => {
    await Promise.all(rolesOf(payload, delivery).map(probe))
  }
}

interface ProbedRole {
  readonly roleArn: string
  readonly externalId: string | undefined
}

/** The roles to assume, each once. A republish action needs none, because the broker publishes. */
function rolesOf(
  { actions, errorAction }: TopicRulePayload,
  delivery: RuleDelivery,
): readonly ProbedRole[] {
  const roles = new Map<string, ProbedRole>()
  const places = [...actions.entries(), [errorActionIndex, errorAction] as const]
  for (const [index, action] of places) {
    if (action === undefined || !('kinesis' in action)) continue
    const { credentials, externalId } = deliveryOf(delivery, index, deliveryDefaults)
    if (credentials === 'process') continue
    const { roleArn } = action.kinesis
    roles.set(JSON.stringify([roleArn, externalId]), { roleArn, externalId })
  }
  return [...roles.values()]
}

function isRefused(thrown: unknown): boolean {
  const { name = '', $metadata } = thrown as {
    readonly name?: string
    readonly $metadata?: { readonly httpStatusCode?: number }
  }
  const status = $metadata?.httpStatusCode
  const answered = status === undefined ? {} : { status }
  const failure = { code: name, message: '', source: 'AssumeRole', ...answered } as const
  return classify(failure) !== 'passing'
}
