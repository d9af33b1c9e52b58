import { SluiceError } from '../../base/errors.ts'

/**
 * How a request names a function: `name`, `name:version`, an ARN, or an ARN from its account on.
 */
export interface FunctionName {
  readonly name: string
  readonly qualifier?: string | undefined
  /** Set for a whole ARN only. */
  readonly arn?: string | undefined
}

const format =
  /^(?<prefix>(?:(?<arn>arn:aws[a-zA-Z-]*:lambda:[a-z]{2}(?:-[a-z]+)+-\d):)?\d{12}:function:|function:)?(?<name>[a-zA-Z0-9_-]{1,64})(?::(?<qualifier>\$LATEST|[a-zA-Z0-9_-]{1,128}))?$/

/** @throws SluiceError ValidationException */
export function parseFunctionName(text: string): FunctionName {
  const { arn, name, qualifier } = format.exec(text)?.groups ?? {}
  if (name === undefined) {
    throw new SluiceError(
      'ValidationException',
      `1 validation error detected: Value '${text}' at 'functionName' failed to satisfy ` +
        'constraint: Member must be the name or the ARN of a function',
    )
  }
  return { name, qualifier, arn: arn === undefined ? undefined : text }
}

export function arnOfFunction(
  { name, qualifier, arn }: FunctionName,
  { region, accountId }: { readonly region: string; readonly accountId: string },
): string {
  const own = `arn:aws:lambda:${region}:${accountId}:function:${name}`
  return arn ?? (qualifier === undefined ? own : `${own}:${qualifier}`)
}
