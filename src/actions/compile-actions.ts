import { errorActionIndex } from '../outbox/outbox.ts'
import type { CompiledStatement } from '../sql/sql.ts'
import type { ActionContext, ActionDelivery, ActionKind, CompiledAction } from './action.ts'
import { compileKinesisAction } from './kinesis.ts'
import type { KinesisActionDefinition } from './kinesis.ts'
import { compileRepublishAction } from './republish.ts'
import type { RepublishActionDefinition } from './republish.ts'

/** An entry of `actions`, or `errorAction`: an object with one member, named after its kind. */
export type ActionDefinition =
  { readonly kinesis: KinesisActionDefinition } | { readonly republish: RepublishActionDefinition }

/** The kinds of actions that are carried out, by the names of AWS's Action union. */
export const actionKinds: readonly ActionKind[] = ['kinesis', 'republish']

export interface CompiledActions {
  /** One for each definition, in order. */
  readonly actions: readonly CompiledAction[]
  readonly errorAction: CompiledAction | undefined
}

/**
 * Compiles the actions of a rule.
 *
 * @throws SluiceError SqlParseException or InvalidRequestException, naming the action and the field
 */
export function compileActions(
  definitions: {
    readonly actions: readonly ActionDefinition[]
    readonly errorAction?: ActionDefinition | undefined
  },
  statement: CompiledStatement,
  context: Pick<ActionContext, 'ruleName' | 'region' | 'topicLimits'> & {
    readonly deliveryOf: (index: number) => ActionDelivery
  },
): CompiledActions {
  const { deliveryOf, ...shared } = context
  const compile = (definition: ActionDefinition, index: number) =>
    compileAction(definition, statement, { ...shared, index, delivery: deliveryOf(index) })
  const { actions, errorAction } = definitions
  return {
    actions: actions.map(compile),
    errorAction: errorAction && compile(errorAction, errorActionIndex),
  }
}

function compileAction(
  definition: ActionDefinition,
  statement: CompiledStatement,
  context: ActionContext,
): CompiledAction {
  return 'kinesis' in definition
    ? compileKinesisAction(definition.kinesis, statement, context)
    : compileRepublishAction(definition.republish, statement, context)
}
