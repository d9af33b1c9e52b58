import type { TLocalizedValidationError } from 'typebox/error'
import { SluiceError } from '../base/errors.ts'

/** The error in AWS's words, in which the names of members begin in lower case. */
export function validationError(error: TLocalizedValidationError, body: unknown): SluiceError {
  const missing = error.keyword === 'required' ? `/${error.params.requiredProperties[0] ?? ''}` : ''
  const segments = `${error.instancePath}${missing}`.split('/').slice(1)
  const memberPath = segments.map((name) => name.charAt(0).toLowerCase() + name.slice(1)).join('.')
  const value = segments.reduce<unknown>(
    (at, name) =>
      typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined,
    body,
  )
  const shown = value === undefined ? 'null' : `'${JSON.stringify(value).slice(0, 200)}'`
  return new SluiceError(
    'ValidationException',
    `1 validation error detected: Value ${shown} at '${memberPath}' failed to satisfy ` +
      `constraint: Member must ${constraintOf(error)}`,
  )
}

function constraintOf(error: TLocalizedValidationError): string {
  if (error.keyword === 'required') return 'not be null'
  if (error.keyword === 'minimum') {
    return `have value greater than or equal to ${String(error.params.limit)}`
  }
  if (error.keyword === 'maximum') {
    return `have value less than or equal to ${String(error.params.limit)}`
  }
  if (error.keyword === 'minLength') {
    return `have length greater than or equal to ${error.params.limit}`
  }
  if (error.keyword === 'maxLength' || error.keyword === 'maxItems') {
    return `have length less than or equal to ${error.params.limit}`
  }
  if (error.keyword === 'enum') {
    return `satisfy enum value set: [${error.params.allowedValues.map(String).join(', ')}]`
  }
  if (error.keyword === 'const') {
    return `satisfy enum value set: [${String(error.params.allowedValue)}]`
  }
  if (error.keyword === 'pattern') {
    return `satisfy regular expression pattern: ${String(error.params.pattern)}`
  }
  if (error.keyword === 'type') return `be of type ${[error.params.type].flat().join(' or ')}`
  return error.message.replace(/^must /, '')
}

export const invalidParameter = (message: string) =>
  new SluiceError('InvalidParameterValueException', message)
