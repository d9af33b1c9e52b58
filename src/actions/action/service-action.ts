import type { Static, TSchema } from 'typebox'
import { createBoundedMap } from '../../base/bounded-map.ts'
import type { SluiceError } from '../../base/errors.ts'
import type {
  DeliverySettings,
  Destination,
  NewRecord,
  ServiceKind,
  SourceMessage,
} from '../../outbox/outbox.ts'
import type { CompiledStatement } from '../../sql/sql.ts'
import { fieldOfAction } from './action.ts'
import type { ActionContext, ActionOutcome, CompiledAction, DefinitionContext } from './action.ts'
import { UnusableText, compileTemplates } from './action-template.ts'
import type { ActionTemplates, Expanded } from './action-template.ts'
import { encodeServiceCall } from '../../aws/call/service-call.ts'
import type { ServiceCall } from '../../aws/call/service-call.ts'

/**
 * An action that calls an AWS service: the fields that AWS IoT takes for it, and the call that it
 * makes of one message. The call is the one that AWS IoT's own rule engine would make, even where
 * the sender of the service puts many of them into one batch.
 */
export interface ServiceAction<Schema extends TSchema = TSchema> {
  readonly kind: ServiceKind
  /** The member of AWS's Action union [AWS IoT API Reference]. */
  readonly schema: Schema
  /** Finds members that do not fit each other, which a schema cannot say. */
  readonly faultsOf?:
    ((definition: Static<Schema>, context: DefinitionContext) => readonly SluiceError[]) | undefined
  /** Plans the action of a definition that the schema has accepted. */
  readonly plan: (definition: Static<Schema>, context: ActionContext) => ActionPlan
}

/** What an action does for each message. */
interface ActionPlan<Templates extends ActionTemplates = ActionTemplates> {
  /** Absent: the action has no role, and this process calls with its own credentials. */
  readonly roleArn?: string | undefined
  readonly templates: Templates
  /** What identifies the target to its service, e.g. the URL of a queue. */
  readonly target: (texts: Expanded<Templates>) => string
  /** How the clients of Kafka connect. */
  readonly clientProperties?: Readonly<Record<string, string>> | undefined
  /** The region of the target, where its name tells. */
  readonly region?: ((target: string) => string | undefined) | undefined
  /** What the action itself says about its calls. It comes before the delivery settings. */
  readonly batching?: Partial<DeliverySettings['batching']> | undefined
  readonly call: (texts: Expanded<Templates>, message: ActionMessage) => PlannedCall
}

/** What an action may use of one message. */
interface ActionMessage {
  /** What the rule's SELECT gave: a JSON document, or the published bytes. */
  readonly output: Buffer
  readonly source: SourceMessage
  readonly newUuid: () => string
}

/** The call for one message, or why there can be none. */
export type PlannedCall =
  | (ServiceCall & {
      /**
       * Records with the same key are delivered in order. Absent: the service keeps no order, so
       * none is kept on the way to it.
       */
      readonly orderKey?: string | undefined
    })
  | {
      readonly problem: string
      /** The member of the action that the problem is about. Absent: the output. */
      readonly member?: string | undefined
    }

/** Keeps the type of the templates, which `call` gets expanded. */
export function actionPlan<Templates extends ActionTemplates>(
  plan: ActionPlan<Templates>,
): ActionPlan {
  // A plan only ever gets the texts of its own templates.
  return plan as unknown as ActionPlan
}

/** Keeps the type of the schema, which `plan` gets the definition of. */
export function serviceAction<Schema extends TSchema>(
  action: ServiceAction<Schema>,
): ServiceAction<Schema> {
  return action
}

/** Destinations that an action remembers. A template can make any number of them. */
const rememberedDestinationsMax = 1_000

/**
 * Compiles an action of a service: one call for each message.
 *
 * The faults of the context get a SqlParseException for a template, an InvalidRequestException for
 * a constant that the service would refuse; both name the field.
 */
export function compileServiceAction(
  { kind, plan, faultsOf }: ServiceAction,
  definition: unknown,
  statement: CompiledStatement,
  context: ActionContext,
): CompiledAction {
  const { ruleName, index: actionIndex, faults, faultyFields } = context
  const place = `${fieldOfAction(actionIndex)}.${kind}`
  const isFaulty = (member: string) => faultyFields.has(`${place}.${member}`)
  const found = faultsOf?.(definition, { place, index: actionIndex, isFaulty }) ?? []
  faults.push(...found.filter(({ field = '' }) => !faultyFields.has(field)))
  const planned = plan(definition, context)
  const expand = compileTemplates(planned.templates, statement, place, faults)
  const destinationOf = createDestinationOf(kind, planned, context)

  return {
    kind,
    constantStreams: [],
    apply(scope, output, source) {
      let target = ''
      try {
        const texts = expand(scope)
        target = planned.target(texts)
        const { newUuid } = scope.document.environment
        const call = planned.call(texts, { output, source, newUuid })
        if ('problem' in call) {
          const where = call.member === undefined ? place : `${place}.${call.member}`
          return failed('ActionFailed', call.problem, where, target)
        }
        const { orderKey, ...request } = call
        const record: NewRecord = {
          destination: destinationOf(target, orderKey !== undefined),
          partitionKey: orderKey ?? '',
          call: encodeServiceCall(request),
          data: output,
          ruleName,
          actionIndex,
          source,
        }
        return { ok: true, records: [record], messages: [] }
      } catch (thrown) {
        if (!(thrown instanceof UnusableText)) throw thrown
        return failed('TemplateFailed', thrown.message, thrown.field, target)
      }
    },
  }
}

/**
 * The same destination object is used again and again, so that the outbox need not compare members.
 */
function createDestinationOf(
  kind: ServiceKind,
  { roleArn, region: regionOf, clientProperties, batching }: ActionPlan,
  { region, delivery }: ActionContext,
): (target: string, hasOrder: boolean) => Destination {
  const { endpoint, externalId } = delivery
  const settings =
    batching === undefined
      ? delivery.settings
      : { ...delivery.settings, batching: { ...delivery.settings.batching, ...batching } }
  const credentials =
    roleArn === undefined || delivery.credentials === 'process'
      ? ({ kind: 'process' } as const)
      : { kind: 'role' as const, roleArn, externalId }
  const remembered = createBoundedMap<string, Destination>(rememberedDestinationsMax)
  return (target, hasOrder) =>
    remembered.getOrMake(`${hasOrder} ${target}`, () =>
      Object.freeze({
        kind,
        region: delivery.region ?? regionOf?.(target) ?? region,
        target,
        clientProperties,
        endpoint,
        credentials: Object.freeze(credentials),
        settings: hasOrder ? settings : { ...settings, ordering: 'none' as const },
      }),
    )
}

function failed(
  code: 'ActionFailed' | 'TemplateFailed',
  message: string,
  where: string,
  resource: string,
): ActionOutcome {
  return { ok: false, failure: { code, message, where, resource } }
}
