import {
  CreateEventSourceMappingCommand,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  ListEventSourceMappingsCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda'
import { SluiceError } from '../../src/base/errors.ts'
import type { StartedServer } from './http-fixtures.ts'
import { fault, http, reject } from './provocation.ts'
import type { Call, Provocations } from './provocation.ts'

const mappingsPath = '/2015-03-31/event-source-mappings'
const noSuch = new SluiceError('ResourceNotFoundException', 'there is no such mapping')
const invalid = new SluiceError('ValidationException', 'a member is out of its range')
const present = new SluiceError('ResourceConflictException', 'it exists already')
const inUse = new SluiceError('ResourceInUseException', 'it is being changed')
const mappings = (failure: Error) => () => {
  const rejects = reject(failure)
  const throws = (): never => {
    throw failure
  }
  return {
    eventSourceMappings: {
      create: rejects,
      get: throws,
      update: rejects,
      delete: rejects,
      list: throws,
    },
  }
}
const createMapping = ({ lambda }: StartedServer) =>
  lambda.send(new CreateEventSourceMappingCommand({ FunctionName: 'f' }))
const listMappings = ({ lambda }: StartedServer) =>
  lambda.send(new ListEventSourceMappingsCommand({}))
const getMapping = ({ lambda }: StartedServer) =>
  lambda.send(new GetEventSourceMappingCommand({ UUID: 'x' }))
const updateMapping = ({ lambda }: StartedServer) =>
  lambda.send(new UpdateEventSourceMappingCommand({ UUID: 'x' }))
const deleteMapping = ({ lambda }: StartedServer) =>
  lambda.send(new DeleteEventSourceMappingCommand({ UUID: 'x' }))
const mappingErrors = (call: Call, refused: Call) => ({
  InvalidParameterValueException: { call: refused },
  ServiceException: { call, dependencies: mappings(fault) },
  TooManyRequestsException: { call, isThrottled: true as const },
})

export const lambdaProvocations: Provocations = {
  CreateEventSourceMapping: {
    ...mappingErrors(createMapping, http('POST', mappingsPath, [])),
    ResourceNotFoundException: { call: createMapping, dependencies: mappings(noSuch) },
    ValidationException: { call: createMapping, dependencies: mappings(invalid) },
    ResourceConflictException: { call: createMapping, dependencies: mappings(present) },
  },
  ListEventSourceMappings: mappingErrors(listMappings, http('GET', `${mappingsPath}?MaxItems=0`)),
  GetEventSourceMapping: {
    ...mappingErrors(getMapping, http('GET', `${mappingsPath}/${'x'.repeat(65)}`)),
    ResourceNotFoundException: { call: getMapping, dependencies: mappings(noSuch) },
  },
  UpdateEventSourceMapping: {
    ...mappingErrors(updateMapping, http('PUT', `${mappingsPath}/x`, [])),
    ResourceNotFoundException: { call: updateMapping, dependencies: mappings(noSuch) },
    ValidationException: { call: updateMapping, dependencies: mappings(invalid) },
    ResourceConflictException: { call: updateMapping, dependencies: mappings(present) },
    ResourceInUseException: { call: updateMapping, dependencies: mappings(inUse) },
  },
  DeleteEventSourceMapping: {
    ...mappingErrors(deleteMapping, http('DELETE', `${mappingsPath}/${'x'.repeat(65)}`)),
    ResourceNotFoundException: { call: deleteMapping, dependencies: mappings(noSuch) },
    ResourceInUseException: { call: deleteMapping, dependencies: mappings(inUse) },
  },
}
