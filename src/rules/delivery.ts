import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { ActionDelivery } from '../actions/action.ts'
import { deliveryLimits } from '../config/config.ts'
import { deepFreeze } from '../base/deep-freeze.ts'
import { invalidRequest } from '../base/errors.ts'
import { errorActionIndex } from '../outbox/outbox.ts'
import type { DeliverySettings } from '../outbox/outbox.ts'
import { schemaProblem } from '../base/schema-problem.ts'

/**
 * How a rule's records are delivered: what AWS's payload has no member for. It stands beside the
 * payload, as `delivery` in `<name>.meta.json`:
 *
 *   {
 *     "defaults": {"ordering": "strict", "retry": {"maxAgeMs": 3600000}},
 *     "actions": {"0": {"batching": {"count": 100}}, "errorAction": {"region": "eu-west-1"}}
 *   }
 *
 * A setting is looked for under the action, then in `defaults`, then in the configuration. Actions
 * are named by their index; what is set for one that the payload does not have rests.
 */
const closed = { additionalProperties: false } as const
const templateCharactersMax = 4_096
const template = Type.Optional(Type.String({ minLength: 1, maxLength: templateCharactersMax }))

const actionDeliverySchema = Type.Object(
  {
    ordering: Type.Optional(Type.Enum([...deliveryLimits.orderings])),
    batching: Type.Optional(
      Type.Object(
        {
          /** Records of one call. */
          count: Type.Optional(Type.Integer(deliveryLimits.count)),
          /** Bytes of one call, keys included. */
          bytes: Type.Optional(Type.Integer(deliveryLimits.bytes)),
          /** How long a call that is not full waits for more records. */
          periodMs: Type.Optional(Type.Integer(deliveryLimits.periodMs)),
        },
        closed,
      ),
    ),
    maxInFlight: Type.Optional(Type.Integer(deliveryLimits.maxInFlight)),
    retry: Type.Optional(
      Type.Object({ maxAgeMs: Type.Optional(Type.Integer(deliveryLimits.maxAgeMs)) }, closed),
    ),
    region: Type.Optional(Type.String({ pattern: '^[a-z]{2}(-[a-z]+)+-[0-9]$' })),
    /** Instead of the region's own, such as that of a VPC endpoint. */
    endpoint: Type.Optional(Type.String({ pattern: '^https?://[^/?#@\\s]+/?$' })),
    /** Takes templates; stands in for the action's `streamName`, e.g. for another account. */
    streamArn: template,
    /** Takes templates; expands to a decimal number below 2^128. */
    explicitHashKey: template,
    /** `process`: those that the process itself has; `roleArn` is not assumed then. */
    credentials: Type.Optional(Type.Enum(['role', 'process'])),
    /** STS AssumeRole, ExternalId. */
    externalId: Type.Optional(Type.String({ pattern: '^[\\w+=,.@:/-]{2,1224}$' })),
  },
  closed,
)

export const ruleDeliverySchema = Type.Object(
  {
    defaults: Type.Optional(actionDeliverySchema),
    actions: Type.Optional(
      Type.Record(Type.String({ pattern: '^([0-9]|errorAction)$' }), actionDeliverySchema, closed),
    ),
  },
  closed,
)

type GivenDelivery = Static<typeof actionDeliverySchema>

/** The document as it is stored and given over HTTP. */
export interface RuleDelivery {
  readonly defaults?: GivenDelivery | undefined
  /** `'0'` to `'9'` and `errorAction`. */
  readonly actions?: Readonly<Record<string, GivenDelivery>> | undefined
}

const deliveryValidator = Compile(ruleDeliverySchema)

/**
 * @param json the parsed document
 * @param base the field that it stands in, e.g. `delivery`; `''` for a whole body
 * @throws SluiceError InvalidRequestException, naming the field
 */
export function parseDelivery(json: unknown, base = ''): RuleDelivery {
  if (!deliveryValidator.Check(json)) throw schemaProblem(deliveryValidator.Errors(json), base)
  return deepFreeze(json)
}

/**
 * Refuses settings of actions that a rule does not have: in a request they are a slip.
 *
 * @throws SluiceError InvalidRequestException
 */
export function checkDeliveryFits(
  { actions = {} }: RuleDelivery,
  payload: { readonly actions: readonly unknown[]; readonly errorAction?: unknown },
): void {
  for (const name of Object.keys(actions)) {
    if (name === 'errorAction' && payload.errorAction === undefined) {
      throw invalidRequest('actions.errorAction: the rule has no error action')
    }
    if (Number(name) >= payload.actions.length) {
      throw invalidRequest(`actions[${name}]: the rule has ${payload.actions.length} actions`)
    }
  }
}

/**
 * What holds for one action.
 *
 * @param index of the action, or `errorActionIndex`
 * @param settings for what the rule leaves open
 * @returns complete and frozen
 */
export function deliveryOf(
  { defaults = {}, actions = {} }: RuleDelivery,
  index: number,
  settings: DeliverySettings,
): ActionDelivery {
  const { batching, retry, ...own } = actions[placeOf(index)] ?? {}
  const { batching: ruleBatching, retry: ruleRetry, ...ofRule } = defaults
  const { ordering, maxInFlight, ...target } = { ...ofRule, ...own }
  return deepFreeze({
    ...target,
    settings: {
      ordering: ordering ?? settings.ordering,
      batching: { ...settings.batching, ...ruleBatching, ...batching },
      maxInFlight: maxInFlight ?? settings.maxInFlight,
      retry: { ...settings.retry, ...ruleRetry, ...retry },
    },
  })
}

function placeOf(index: number): string {
  return index === errorActionIndex ? 'errorAction' : String(index)
}
