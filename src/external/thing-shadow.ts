import { GetThingShadowCommand, IoTDataPlaneClient } from '@aws-sdk/client-iot-data-plane'
import type { ThingShadowRequest } from '../sql/externals/external-request.ts'
import { readJson } from '../sql/values/json-reader.ts'
import type { Value } from '../sql/values/values.ts'
import { createRoleCalls } from '../aws/role-calls.ts'
import type { AwsAccess } from '../aws/role-calls.ts'

/** `get_thing_shadow`: the document of a thing's shadow. */
export function createThingShadow(access: AwsAccess) {
  const withRole = createRoleCalls(access, (options) => new IoTDataPlaneClient(options))

  return async (request: ThingShadowRequest, signal: AbortSignal): Promise<Value> => {
    const { thingName, shadowName, roleArn } = request
    const command = new GetThingShadowCommand({ thingName, shadowName })
    const answer = await withRole(roleArn, (client) =>
      client.send(command, { abortSignal: signal }),
    )
    const shadow = readJson(Buffer.from(answer.payload ?? []).toString())
    if (shadow === undefined) throw new Error('the shadow is not a JSON document')
    return shadow
  }
}
