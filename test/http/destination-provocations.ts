import {
  ConfirmTopicRuleDestinationCommand,
  CreateTopicRuleDestinationCommand,
  DeleteTopicRuleDestinationCommand,
  GetTopicRuleDestinationCommand,
  ListTopicRuleDestinationsCommand,
  UpdateTopicRuleDestinationCommand,
} from '@aws-sdk/client-iot'
import { SluiceError } from '../../src/base/errors.ts'
import type { HttpServerDependencies } from '../../src/http/http-server.ts'
import { arn } from './guarded-server.ts'
import type { StartedServer } from './http-fixtures.ts'
import { fault, reject } from './provocation.ts'
import type { Call, Provocations } from './provocation.ts'

/** How to get the errors of operations on topic rule destinations. */
const absent = arn('ruledestination/http/00000000-0000-4000-8000-000000000000')
const conflict = new SluiceError('ConflictingResourceUpdateException', 'others are waiting')
const busy = new SluiceError('ServiceUnavailableException', 'starting')

const store = (error: Error) => (): Partial<HttpServerDependencies> => {
  const throws = (): never => {
    throw error
  }
  return {
    destinations: {
      create: reject(error),
      createInfluxdb: reject(error),
      update: reject(error),
      delete: reject(error),
      confirm: reject(error),
      get: throws,
      list: throws,
    },
  }
}

const readErrors = (call: Call, invalid?: Call) => ({
  InternalException: { call, dependencies: store(fault) },
  ServiceUnavailableException: { call, dependencies: store(busy) },
  ...(invalid && { InvalidRequestException: { call: invalid } }),
})
const updateErrors = (call: Call, invalid?: Call) => ({
  ...readErrors(call, invalid),
  ConflictingResourceUpdateException: { call, dependencies: store(conflict) },
})

const create =
  (confirmationUrl: string) =>
  ({ iot }: StartedServer) =>
    iot.send(
      new CreateTopicRuleDestinationCommand({
        destinationConfiguration: { httpUrlConfiguration: { confirmationUrl } },
      }),
    )
const get = ({ iot }: StartedServer) =>
  iot.send(new GetTopicRuleDestinationCommand({ arn: absent }))
const list =
  (maxResults: number) =>
  ({ iot }: StartedServer) =>
    iot.send(new ListTopicRuleDestinationsCommand({ maxResults }))
const update =
  (of: string) =>
  ({ iot }: StartedServer) =>
    iot.send(new UpdateTopicRuleDestinationCommand({ arn: of, status: 'DISABLED' }))
const remove = ({ iot }: StartedServer) =>
  iot.send(new DeleteTopicRuleDestinationCommand({ arn: absent }))
const confirm = ({ iot }: StartedServer) =>
  iot.send(new ConfirmTopicRuleDestinationCommand({ confirmationToken: 'unknown' }))

/** It is not confirmed, so that it cannot be disabled. */
const updateTooEarly: Call = async (server) => {
  const { topicRuleDestination } = await create('https://example.com/new')(server)
  await update(topicRuleDestination?.arn ?? '')(server)
}

export const destinationProvocations: Provocations = {
  CreateTopicRuleDestination: {
    ...updateErrors(create('https://example.com/hook'), create('http://example.com/hook')),
    ResourceAlreadyExistsException: {
      call: async (server) => {
        await create('https://example.com/hook')(server)
        await create('https://example.com/hook')(server)
      },
    },
  },
  GetTopicRuleDestination: { ...readErrors(get), UnauthorizedException: { call: get } },
  ListTopicRuleDestinations: readErrors(list(1), list(0)),
  UpdateTopicRuleDestination: {
    ...updateErrors(update(absent), updateTooEarly),
    UnauthorizedException: { call: update(absent) },
  },
  DeleteTopicRuleDestination: { ...updateErrors(remove), UnauthorizedException: { call: remove } },
  ConfirmTopicRuleDestination: updateErrors(confirm, confirm),
}
