/** What a caller may not do, by AWS's names. */
export interface Denial {
  readonly callerArn: string
  /** `kinesis:PutRecords`, `sts:AssumeRole`, ... */
  readonly action: string
  readonly resourceArn: string
}

/**
 * The message of an error that a fault rule asks for without a message of its own. A denial has
 * AWS's words, because clients read the denied action in them (IAM User Guide, "Troubleshoot access
 * denied error messages").
 */
export function faultMessage(code: string, denial: () => Denial): string {
  if (!code.startsWith('AccessDenied')) return `${code}, as a fault rule asks for.`
  const { callerArn, action, resourceArn } = denial()
  return (
    `User: ${callerArn} is not authorized to perform: ${action} on resource: ${resourceArn} ` +
    `because no identity-based policy allows the ${action} action`
  )
}
