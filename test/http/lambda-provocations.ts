import {
  CreateEventSourceMappingCommand,
  DeleteEventSourceMappingCommand,
  GetEventSourceMappingCommand,
  GetFunctionCommand,
  GetFunctionConfigurationCommand,
  InvokeCommand,
  ListEventSourceMappingsCommand,
  ListFunctionsCommand,
  ListTagsCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateEventSourceMappingCommand,
} from '@aws-sdk/client-lambda'
import { SluiceError } from '../../src/base/errors.ts'
import type { StartedServer } from './http-fixtures.ts'
import { fault, http, reject } from './provocation.ts'
import type { Call, Provocations } from './provocation.ts'

const mappingsPath = '/2015-03-31/event-source-mappings'
const functionsPath = '/2015-03-31/functions'
const uuid = '00000000-0000-4000-8000-000000000000'
const Resource = `arn:aws:lambda:eu-central-1:123456789012:event-source-mapping:${uuid}`
const functionArn = 'arn:aws:lambda:eu-central-1:123456789012:function:f'
const tagsPath = `/2017-03-31/tags/${encodeURIComponent(Resource)}`

const noSuch = new SluiceError('ResourceNotFoundException', 'there is no such mapping')
const invalid = new SluiceError('ValidationException', 'a member is out of its range')
const present = new SluiceError('ResourceConflictException', 'it exists already')
const inUse = new SluiceError('ResourceInUseException', 'it is being changed')
const unavailable = new SluiceError('ServiceUnavailableException', 'it cannot be reached')
/** All operations of Lambda fail. */
const lambdaFails = (failure: Error) => () => {
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
      tags: throws,
      setTags: rejects,
    },
    lambdaFunctions: {
      get: rejects,
      list: rejects,
      invoke: rejects,
      invokeLater: rejects,
      checkExists: rejects,
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
const listTags = ({ lambda }: StartedServer) => lambda.send(new ListTagsCommand({ Resource }))
const tag = ({ lambda }: StartedServer) =>
  lambda.send(new TagResourceCommand({ Resource, Tags: { a: 'b' } }))
const untag = ({ lambda }: StartedServer) =>
  lambda.send(new UntagResourceCommand({ Resource, TagKeys: ['a'] }))
const getFunction = ({ lambda }: StartedServer) =>
  lambda.send(new GetFunctionCommand({ FunctionName: 'f' }))
const getConfiguration = ({ lambda }: StartedServer) =>
  lambda.send(new GetFunctionConfigurationCommand({ FunctionName: 'f' }))
const listFunctions = ({ lambda }: StartedServer) => lambda.send(new ListFunctionsCommand({}))
const invokeWith =
  (input: { readonly Payload?: Uint8Array; readonly InvocationType?: 'Event' } = {}): Call =>
  ({ lambda }) =>
    lambda.send(new InvokeCommand({ FunctionName: 'f', ...input }))

const commonErrors = (call: Call, refused: Call) => ({
  InvalidParameterValueException: { call: refused },
  ServiceException: { call, dependencies: lambdaFails(fault) },
  TooManyRequestsException: { call, isThrottled: true as const },
})
const missing = (call: Call) => ({
  ResourceNotFoundException: { call, dependencies: lambdaFails(noSuch) },
})
const ofFunction = (call: Call, path = '', method = 'GET') => ({
  ...commonErrors(call, http(method, `${functionsPath}/${'f'.repeat(257)}${path}`)),
  ...missing(call),
  ValidationException: { call, dependencies: lambdaFails(invalid) },
})

const batchesPath = `/v1/event-source-mappings/${uuid}/batches`
const batchesFail = (failure: Error) => () => ({
  mappingBatches: () => {
    throw failure
  },
})

export const lambdaProvocations: Provocations = {
  ListMappingBatches: {
    InvalidRequestException: { call: http('GET', '/v1/event-source-mappings/x/batches') },
    ResourceNotFoundException: {
      call: http('GET', batchesPath),
      dependencies: batchesFail(noSuch),
    },
    InternalException: { call: http('GET', batchesPath), dependencies: batchesFail(fault) },
  },
  CreateEventSourceMapping: {
    ...commonErrors(createMapping, http('POST', mappingsPath, [])),
    ...missing(createMapping),
    ValidationException: { call: createMapping, dependencies: lambdaFails(invalid) },
    ResourceConflictException: { call: createMapping, dependencies: lambdaFails(present) },
  },
  ListEventSourceMappings: commonErrors(listMappings, http('GET', `${mappingsPath}?MaxItems=0`)),
  GetEventSourceMapping: {
    ...commonErrors(getMapping, http('GET', `${mappingsPath}/${'x'.repeat(65)}`)),
    ...missing(getMapping),
  },
  UpdateEventSourceMapping: {
    ...commonErrors(updateMapping, http('PUT', `${mappingsPath}/x`, [])),
    ...missing(updateMapping),
    ValidationException: { call: updateMapping, dependencies: lambdaFails(invalid) },
    ResourceConflictException: { call: updateMapping, dependencies: lambdaFails(present) },
    ResourceInUseException: { call: updateMapping, dependencies: lambdaFails(inUse) },
  },
  DeleteEventSourceMapping: {
    ...commonErrors(deleteMapping, http('DELETE', `${mappingsPath}/${'x'.repeat(65)}`)),
    ...missing(deleteMapping),
    ResourceInUseException: { call: deleteMapping, dependencies: lambdaFails(inUse) },
  },
  ListTags: {
    ServiceException: { call: listTags, dependencies: lambdaFails(fault) },
    TooManyRequestsException: { call: listTags, isThrottled: true },
    ...missing(listTags),
    ValidationException: { call: http('GET', '/2017-03-31/tags/x') },
  },
  LambdaTagResource: {
    ...commonErrors(tag, http('POST', tagsPath, [])),
    ...missing(tag),
    ValidationException: { call: http('POST', tagsPath, {}) },
  },
  LambdaUntagResource: {
    ...commonErrors(
      untag,
      http('DELETE', `/2017-03-31/tags/${encodeURIComponent(functionArn)}?tagKeys=a`),
    ),
    ...missing(untag),
    ValidationException: { call: http('DELETE', '/2017-03-31/tags/x?tagKeys=a') },
  },
  GetFunction: ofFunction(getFunction),
  GetFunctionConfiguration: ofFunction(getConfiguration, '/configuration'),
  ListFunctions: commonErrors(listFunctions, http('GET', `${functionsPath}?MaxItems=0`)),
  Invoke: {
    ...ofFunction(invokeWith(), '/invocations', 'POST'),
    InvalidRequestContentException: { call: invokeWith({ Payload: Buffer.from('{') }) },
    RequestTooLargeException: {
      call: invokeWith({
        InvocationType: 'Event',
        Payload: Buffer.from(JSON.stringify('x'.repeat(1_048_576))),
      }),
    },
    ServiceUnavailableException: { call: invokeWith(), dependencies: lambdaFails(unavailable) },
  },
}
