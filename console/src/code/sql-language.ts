import type { Extension } from '@codemirror/state'
import { sqlColours } from './sql-colours.ts'
import { sqlCompletion } from './sql-completion.ts'
import { sqlSignature } from './sql-signature.ts'
import type { SqlForm } from './sql-tokens.ts'

/**
 * AWS IoT SQL for the editor: colours, completion and the signature of the call at the cursor.
 *
 * @param exampleOf the payload of the message on which the rule is tried, as text
 */
export const sqlLanguage = (form: SqlForm, exampleOf: () => string): Extension => [
  sqlColours(form),
  sqlCompletion(form, exampleOf),
  sqlSignature(form),
]
