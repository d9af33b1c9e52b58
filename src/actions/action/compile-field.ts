import { atField } from '../../base/errors.ts'
import type { CompiledStatement } from '../../sql/sql.ts'
import { compileTemplate } from '../../sql/template.ts'
import type { CompiledTemplate } from '../../sql/template.ts'

/**
 * Compiles the template of one field of a payload.
 *
 * @param field the name of the field, e.g. `actions[0].kinesis.partitionKey`
 * @throws SluiceError SqlParseException, naming the field; with all faults when there are several
 */
export function compileField(
  text: string,
  statement: CompiledStatement,
  field: string,
): CompiledTemplate {
  return atField(field, () => compileTemplate(text, statement))
}

/** Stands for a template with a fault, which is never expanded. */
export const noTemplate: CompiledTemplate = Object.freeze({
  constant: undefined,
  expand: () => '',
  samples: [],
})
