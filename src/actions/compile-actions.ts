import { SluiceError } from '../errors.ts'
import type { CompiledStatement } from '../sql/sql.ts'
import type { CompiledAction } from './action.ts'
import { compileKinesisAction } from './kinesis.ts'
import type { KinesisActionDefinition } from './kinesis.ts'

/** A member of `actions`: an object with one member, named after the kind of action. */
export interface ActionDefinition {
  readonly kinesis?: KinesisActionDefinition
}

/**
 * Compiles the actions of a rule, in their order.
 *
 * @throws SluiceError SqlParseException or InvalidRequestException, naming the action and the field
 */
export function compileActions(
  definitions: readonly ActionDefinition[],
  statement: CompiledStatement,
  context: { readonly ruleName: string; readonly region: string },
): readonly CompiledAction[] {
  return definitions.map((definition, index) => {
    if (definition.kinesis) {
      return compileKinesisAction(definition.kinesis, statement, { ...context, index })
    }
    throw new SluiceError(
      'InvalidRequestException',
      `actions[${index}]: ${Object.keys(definition)[0] ?? 'an empty action'} is not executed here`,
    )
  })
}
