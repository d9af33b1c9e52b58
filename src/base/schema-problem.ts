import type { TLocalizedValidationError } from 'typebox/error'
import { invalidRequest } from './errors.ts'
import type { SluiceError } from './errors.ts'

/**
 * Converts the errors of a schema into one sentence that names the field as its author wrote it:
 * `actions[0].kinesis.roleArn is missing`.
 */

/** `/actions/0/kinesis` of a JSON pointer (RFC 6901) -> `actions[0].kinesis`. */
function fieldOf(pointer: string, base: string): string {
  const segments = pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'))
  return segments.reduce(memberOf, base)
}

/** The field of a member: `actions[0].kinesis` and `streamName` -> both with a dot between. */
export function memberOf(base: string, member: string): string {
  if (/^\d+$/.test(member)) return `${base}[${member}]`
  return base === '' ? member : `${base}.${member}`
}

/**
 * The first of `errors` as an InvalidRequestException.
 *
 * @param errors the result of `Value.Errors` or of a compiled schema's `Errors`; not empty
 * @param base the field that the schema was applied to, e.g. `message`; `''` for the whole body
 */
export function schemaProblem(
  errors: readonly TLocalizedValidationError[],
  base = '',
): SluiceError {
  return invalidRequest(describe(errors, base))
}

function describe(errors: readonly TLocalizedValidationError[], base: string): string {
  // An unknown name best explains why another one is missing. (The schema reports the rejected
  // member itself as `boolean`, before the list of unknown names.)
  const error =
    errors.find((candidate) => candidate.keyword === 'additionalProperties') ??
    errors.find((candidate) => candidate.keyword !== 'boolean') ??
    errors[0]
  if (!error) return `${base || 'the request'} is not valid`
  const field = fieldOf(error.instancePath, base)
  if (error.keyword === 'required') {
    return `${memberOf(field, error.params.requiredProperties[0] ?? '')} is missing`
  }
  if (error.keyword === 'additionalProperties') {
    return `${memberOf(field, error.params.additionalProperties[0] ?? '')} is not a known member`
  }
  return `${field || 'the document'} ${sentenceOf(error)}`
}

/** What is wrong with a value, as the end of a sentence that begins with its field. */
export function sentenceOf(error: TLocalizedValidationError): string {
  if (error.keyword === 'type') {
    return `must be ${[error.params.type].flat().map(withArticle).join(' or ')}`
  }
  if (error.keyword === 'enum') {
    return `must be one of ${error.params.allowedValues.map(allowedText).join(', ')}`
  }
  if (error.keyword === 'pattern') return `must match ${String(error.params.pattern)}`
  if (error.keyword === 'minLength') return `must have ${error.params.limit} characters or more`
  if (error.keyword === 'maxLength') return `must have ${error.params.limit} characters or fewer`
  if (error.keyword === 'maxItems') return `must have ${error.params.limit} entries or fewer`
  if (error.keyword === 'minimum') return `must be ${error.params.limit} or more`
  if (error.keyword === 'maximum') return `must be ${error.params.limit} or less`
  return error.message
}

function withArticle(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`
}

/** Control characters are shown as JSON writes them. */
function allowedText(value: unknown): string {
  const text = String(value)
  return /[^ -~]|^,$/.test(text) ? JSON.stringify(value) : text
}
