import { Type } from 'typebox'
import type { Static } from 'typebox'
import { Compile } from 'typebox/compile'
import type { ActionDelivery } from '../actions/action/action.ts'
import { deliveryLimits } from '../config/config.ts'
import { deepFreeze } from '../base/deep-freeze.ts'
import { invalidRequest } from '../base/errors.ts'
import { errorActionIndex } from '../outbox/outbox.ts'
import type { DeliverySettings } from '../outbox/outbox.ts'
import { schemaProblem } from '../base/schema-problem.ts'

/**
 * The delivery settings of a rule, for which AWS's payload has no member. They are stored beside
 * the payload, as `delivery` in `<name>.meta.json`:
 *
 *   {
 *     "defaults": {"ordering": "strict", "retry": {"maxAgeMs": 3600000}},
 *     "actions": {"0": {"batching": {"count": 100}}, "errorAction": {"region": "eu-west-1"}}
 *   }
 *
 * A setting is taken from the action, else from `defaults`, else from the configuration. Actions
 * are named by their index. Settings of an action that the payload does not have are kept, without
 * effect.
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
          /** Records in one call. */
          count: Type.Optional(Type.Integer(deliveryLimits.count)),
          /** Bytes in one call, keys included. */
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
    /** Replaces the endpoint of the region, e.g. by a VPC endpoint. */
    endpoint: Type.Optional(Type.String({ pattern: '^https?://[^/?#@\\s]+/?$' })),
    /** Takes templates. Replaces the action's `streamName`, e.g. for another account. */
    streamArn: template,
    /** Takes templates; expands to a decimal number below 2^128. */
    explicitHashKey: template,
    /** `process` uses the credentials of this process instead of assuming `roleArn`. */
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

/** The document as it is stored and returned over HTTP. */
export interface RuleDelivery {
  readonly defaults?: GivenDelivery | undefined
  /** `'0'` to `'9'` and `errorAction`. */
  readonly actions?: Readonly<Record<string, GivenDelivery>> | undefined
}

const deliveryValidator = Compile(ruleDeliverySchema)

/**
 * @param json the parsed document
 * @param base the field that holds the document, e.g. `delivery`; `''` for a whole body
 * @throws SluiceError InvalidRequestException, naming the field
 */
export function parseDelivery(json: unknown, base = ''): RuleDelivery {
  if (!deliveryValidator.Check(json)) throw schemaProblem(deliveryValidator.Errors(json), base)
  return deepFreeze(json)
}

/**
 * Refuses settings of actions that a rule does not have: in a request they are a mistake.
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
 * The delivery settings of one action.
 *
 * @param index the index of the action, or `errorActionIndex`
 * @param settings used where the rule has no setting
 * @returns complete and frozen
 */
export function deliveryOf(
  { defaults = {}, actions = {} }: RuleDelivery,
  index: number,
  settings: DeliverySettings,
): ActionDelivery {
  const { batching, retry, ...own } = actions[nameOfAction(index)] ?? {}
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

function nameOfAction(index: number): string {
  return index === errorActionIndex ? 'errorAction' : String(index)
}
