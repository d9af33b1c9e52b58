import { arch } from 'node:process'
import type { DescribedFunction } from './functions.ts'
import { memoryMiB } from './local-function.ts'

/**
 * A function in the API's form (Lambda API Reference, FunctionConfiguration). A function that
 * cannot be loaded is `Failed`, with the reason.
 */
export function functionConfiguration(
  { name, arn, kind, files, fault }: DescribedFunction,
  qualifier: string | undefined,
  accountId: string,
): Readonly<Record<string, unknown>> {
  const [runtimeVersion = ''] = process.versions.node.split('.')
  const isModule = kind === 'module'
  return {
    FunctionName: name,
    FunctionArn: qualifier === undefined ? arn : `${arn}:${qualifier}`,
    ...(isModule && {
      Runtime: `nodejs${runtimeVersion}.x`,
      Handler: files?.handler ?? `${name}.handler`,
    }),
    Role: `arn:aws:iam::${accountId}:role/lambda-role`,
    CodeSize: files?.code?.bytes ?? 0,
    Description: '',
    ...(files && {
      // Lambda counts whole seconds.
      Timeout: Math.max(1, Math.ceil(files.timeoutMs / 1_000)),
      LastModified: new Date(files.lastModifiedMs).toISOString().replace('Z', '+0000'),
      ...(files.code && { CodeSha256: files.code.sha256 }),
      ...(Object.keys(files.environment).length > 0 && {
        Environment: { Variables: files.environment },
      }),
    }),
    MemorySize: memoryMiB,
    Version: '$LATEST',
    TracingConfig: { Mode: 'PassThrough' },
    PackageType: isModule ? 'Zip' : 'Image',
    Architectures: [arch === 'arm64' ? 'arm64' : 'x86_64'],
    EphemeralStorage: { Size: 512 },
    SnapStart: { ApplyOn: 'None', OptimizationStatus: 'Off' },
    LoggingConfig: { LogFormat: 'Text', LogGroup: `/aws/lambda/${name}` },
    ...stateOf(fault),
  }
}

function stateOf(fault: string | undefined) {
  if (fault === undefined) return { State: 'Active', LastUpdateStatus: 'Successful' }
  return {
    State: 'Failed',
    StateReason: fault,
    StateReasonCode: 'FunctionError',
    LastUpdateStatus: 'Failed',
    LastUpdateStatusReason: fault,
    LastUpdateStatusReasonCode: 'FunctionError',
  }
}
