import type { SecretRequest } from '../sql/externals/external-request.ts'
import type { Expression } from '../sql/parser/ast.ts'
import { parseExpressionAt } from '../sql/parser/statement.ts'
import { syntaxError } from '../sql/parser/syntax-error.ts'

/** A piece of a client property: text, or what a secret gives. */
type PropertyPart = string | SecretRequest

/** AWS IoT Developer Guide, "Apache Kafka": the longest property is a store of 65,536 bytes. */
const lengthMax = 128 * 1_024

/**
 * Reads a client property. A template may call `get_secret` with constant arguments: the property
 * belongs to the connection, which many messages share.
 *
 * @throws SluiceError SqlParseException, with line and column within `text`
 */
export function readPropertyTemplate(text: string): readonly PropertyPart[] {
  if (text.length > lengthMax) {
    throw syntaxError(text, 0, `the text is longer than ${lengthMax} characters`)
  }
  const parts: PropertyPart[] = []
  let position = 0
  for (;;) {
    const open = text.indexOf('${', position)
    if (open === -1) break
    const { expression, end } = parseExpressionAt(text, open + 2)
    if (text[end] !== '}') throw syntaxError(text, open, 'this "${" has no "}"')
    if (open > position) parts.push(text.slice(position, open))
    parts.push(secretRequest(text, expression))
    position = end + 1
  }
  return position < text.length ? [...parts, text.slice(position)] : parts
}

const usage =
  "a property takes get_secret('name', 'SecretString' or 'SecretBinary', 'key', 'role ARN') " +
  'with constant texts, and no other function'

function secretRequest(text: string, expression: Expression): SecretRequest {
  const isCall = expression.kind === 'call' && expression.name.toLowerCase() === 'get_secret'
  if (!isCall) throw syntaxError(text, expression.at, usage)
  const values = expression.arguments.map((argument) =>
    argument.kind === 'constant' && typeof argument.value === 'string' ? argument.value : undefined,
  )
  const [secretId, secretType] = values
  const roleArn = values.at(-1)
  const isComplete = values.length === 3 || values.length === 4
  if (!isComplete || !secretId || !roleArn || values.includes(undefined)) {
    throw syntaxError(text, expression.at, usage)
  }
  if (secretType !== 'SecretString' && secretType !== 'SecretBinary') {
    throw syntaxError(text, expression.at, usage)
  }
  // An empty key stands for the whole secret.
  const key = values.length === 4 ? values[2] : undefined
  return {
    function: 'get_secret',
    secretId,
    secretType,
    roleArn,
    ...(key !== undefined && key !== '' && { key }),
  }
}
