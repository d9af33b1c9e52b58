import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import type { LambdaRequest } from '../sql/externals/external-request.ts'
import type { Value } from '../sql/values/values.ts'
import { clientOptions } from '../aws/role-calls.ts'
import type { AwsAccess } from '../aws/role-calls.ts'
import { valueOfFunctionAnswer } from './function-answer.ts'

const regionsMax = 32

/**
 * `aws_lambda`: invokes a function and waits for its result. AWS IoT invokes with its own identity,
 * which the function's resource policy admits. Sluice invokes with the process's own credentials,
 * which need `lambda:InvokeFunction`.
 */
export function createLambda(access: AwsAccess) {
  const clients = new Map<string, LambdaClient>()

  function clientIn(region: string): LambdaClient {
    const known = clients.get(region)
    if (known !== undefined) return known
    if (clients.size === regionsMax) throw new Error(`more than ${regionsMax} regions`)
    const client = new LambdaClient({ ...clientOptions(access), region })
    clients.set(region, client)
    return client
  }

  return async (request: LambdaRequest, signal: AbortSignal): Promise<Value> => {
    const command = new InvokeCommand({
      FunctionName: request.functionArn,
      InvocationType: 'RequestResponse',
      Payload: Buffer.from(request.inputJson),
    })
    const client = clientIn(regionOf(request.functionArn) ?? access.region)
    const answer = await client.send(command, { abortSignal: signal })
    const payload = Buffer.from(answer.Payload ?? [])
    return valueOfFunctionAnswer({ payload, hasFailed: answer.FunctionError !== undefined })
  }
}

/** The region of `arn:aws:lambda:<region>:<account>:function:<name>`; undefined for a name. */
function regionOf(functionArn: string): string | undefined {
  const region = functionArn.startsWith('arn:') ? functionArn.split(':')[3] : undefined
  return region === '' ? undefined : region
}
