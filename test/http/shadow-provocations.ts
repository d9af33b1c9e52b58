import {
  DeleteThingShadowCommand,
  GetThingShadowCommand,
  ListNamedShadowsForThingCommand,
  UpdateThingShadowCommand,
} from '@aws-sdk/client-iot-data-plane'
import type { StartedServer } from './http-fixtures.ts'
import { fails, http, reject, unwritten } from './provocation.ts'
import type { Call, Provocations } from './provocation.ts'

const getShadow =
  (thingName: string) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new GetThingShadowCommand({ thingName }))
const deleteShadow =
  (thingName: string) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new DeleteThingShadowCommand({ thingName }))
const listShadows =
  (pageSize: number) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new ListNamedShadowsForThingCommand({ thingName: 't', pageSize }))
const updateShadow =
  (document: string | Uint8Array) =>
  ({ iotData }: StartedServer) =>
    iotData.send(new UpdateThingShadowCommand({ thingName: 't', payload: Buffer.from(document) }))
const withVersion = JSON.stringify({ state: {}, version: 7 })
const tooLarge = JSON.stringify({ state: { desired: { a: 'x'.repeat(8_192) } } })

const shadowErrors = (call: Call, invalid: Call, otherMethod: Call) => ({
  InvalidRequestException: { call: invalid },
  MethodNotAllowedException: { call: otherMethod },
  ThrottlingException: { call, isThrottled: true as const },
  InternalFailureException: {
    call,
    dependencies: () => ({ shadows: { call: fails, names: fails, list: fails } }),
  },
})
const shadowPath = '/things/t/shadow'

/** How to get the errors of the operations on shadows. */
export const shadowProvocations: Provocations = {
  GetThingShadow: {
    ...shadowErrors(getShadow('t'), getShadow('a b'), http('PUT', shadowPath)),
    ResourceNotFoundException: { call: getShadow('t') },
  },
  UpdateThingShadow: {
    ...shadowErrors(updateShadow('{"state":{}}'), updateShadow('{}'), http('PATCH', shadowPath)),
    UnsupportedDocumentEncodingException: { call: updateShadow(Buffer.from([0xff])) },
    ConflictException: { call: updateShadow(withVersion) },
    RequestEntityTooLargeException: { call: updateShadow(tooLarge) },
    ServiceUnavailableException: {
      call: updateShadow('{"state":{}}'),
      dependencies: ({ engine }) => ({ engine: { ...engine, announce: reject(unwritten) } }),
    },
  },
  DeleteThingShadow: {
    ...shadowErrors(deleteShadow('t'), deleteShadow('a b'), http('PUT', shadowPath)),
    ResourceNotFoundException: { call: deleteShadow('t') },
  },
  ListShadows: {
    InvalidRequestException: { call: http('GET', '/v1/shadows?nextToken=YQ') },
    InternalException: {
      call: http('GET', '/v1/shadows'),
      dependencies: ({ shadows }) => ({ shadows: { ...shadows, list: fails } }),
    },
  },
  ListNamedShadowsForThing: shadowErrors(
    listShadows(1),
    listShadows(0),
    http('PUT', '/api/things/shadow/ListNamedShadowsForThing/t'),
  ),
}
