import {
  DescribeThingCommand,
  IoTClient,
  ListThingGroupsForThingCommand,
} from '@aws-sdk/client-iot'
import type { RegistryRequest } from '../sql/externals/external-request.ts'
import { readJson } from '../sql/values/json-reader.ts'
import { unreachable } from '../base/unreachable.ts'
import type { Value } from '../sql/values/values.ts'
import { createRoleCalls } from '../aws/role-calls.ts'
import type { AwsAccess } from '../aws/role-calls.ts'

/** `get_registry_data`: the answer of the AWS IoT registry, member for member. */
export function createThingRegistry(access: AwsAccess) {
  const withRole = createRoleCalls(access, (options) => new IoTClient(options))

  return async (request: RegistryRequest, signal: AbortSignal): Promise<Value> => {
    const answer = await withRole(request.roleArn, (client) => send(client, request, signal))
    const { $metadata: _, ...members } = answer
    return readJson(JSON.stringify(members))
  }
}

function send(client: IoTClient, { operation, thingName }: RegistryRequest, signal: AbortSignal) {
  const options = { abortSignal: signal }
  switch (operation) {
    case 'DescribeThing':
      return client.send(new DescribeThingCommand({ thingName }), options)
    case 'ListThingGroupsForThing':
      return client.send(new ListThingGroupsForThingCommand({ thingName }), options)
    default:
      return unreachable(operation)
  }
}
