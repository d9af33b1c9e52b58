import { SluiceError, messageOf } from '../../base/errors.ts'
import type { CompiledStatement } from '../../sql/sql.ts'
import { compileTemplate } from '../../sql/template.ts'
import type { CompiledTemplate } from '../../sql/template.ts'

/**
 * Compiles the template of one field of a payload.
 *
 * @param field the name of the field, e.g. `actions[0].kinesis.partitionKey`
 * @throws SluiceError SqlParseException, naming the field
 */
export function compileField(
  text: string,
  statement: CompiledStatement,
  field: string,
): CompiledTemplate {
  try {
    return compileTemplate(text, statement)
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    throw new SluiceError(thrown.code, `${field}: ${messageOf(thrown)}`, {
      cause: thrown,
      details: thrown.details,
    })
  }
}
