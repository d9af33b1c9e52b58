import type { Clock } from '../base/clock.ts'
import type {
  CallExternal,
  ExternalFunctionName,
  ExternalRequest,
} from '../sql/externals/external-request.ts'
import { unreachable } from '../base/unreachable.ts'
import type { Value } from '../sql/values/values.ts'
import type { AwsAccess } from '../aws/role-calls.ts'
import { messageOf } from '../base/errors.ts'
import { createBoundedCall } from './bounded-call.ts'
import { createProtobufDecoder } from './protobuf-decoder.ts'

/**
 * The external functions of an engine that reaches AWS.
 */
export function createAwsFunctions(
  access: AwsAccess,
  { clock }: { readonly clock: Clock },
): CallExternal {
  return createBoundedCall(
    createAwsAnswers(() => access, { clock }),
    { clock },
  )
}

/**
 * The answers of AWS, or of what stands in for it. A client is loaded when its function is first
 * called, because most rules call none. Nothing bounds the time of a call.
 *
 * @param accessFor how the service of a function is reached; asked once for each function
 */
export function createAwsAnswers(
  accessFor: (name: ExternalFunctionName) => AwsAccess | Promise<AwsAccess>,
  { clock }: { readonly clock: Clock },
): CallExternal {
  const lambda = once(async () =>
    (await import('./lambda.ts')).createLambda(await accessFor('aws_lambda')),
  )
  const dynamoDb = once(async () =>
    (await import('./dynamodb.ts')).createDynamoDb(await accessFor('get_dynamodb')),
  )
  const shadow = once(async () =>
    (await import('./thing-shadow.ts')).createThingShadow(await accessFor('get_thing_shadow')),
  )
  const registry = once(async () =>
    (await import('./thing-registry.ts')).createThingRegistry(await accessFor('get_registry_data')),
  )
  const secrets = once(async () => {
    const { createSecretsManager } = await import('./secrets-manager.ts')
    return createSecretsManager(await accessFor('get_secret'), { clock })
  })
  const protobuf = once(async () => {
    const { createDescriptorObjects } = await import('./descriptor-objects.ts')
    return createProtobufDecoder(createDescriptorObjects(await accessFor('decode')), { clock })
  })

  async function call(request: ExternalRequest, signal: AbortSignal): Promise<Value> {
    switch (request.function) {
      case 'aws_lambda':
        return (await lambda())(request, signal)
      case 'get_dynamodb':
        return (await dynamoDb())(request, signal)
      case 'get_secret':
        return (await secrets())(request)
      case 'get_thing_shadow':
        return (await shadow())(request, signal)
      case 'get_registry_data':
        return (await registry())(request, signal)
      case 'decode':
        return (await protobuf())(request)
      default:
        return unreachable(request)
    }
  }

  return withReason(call)
}

/** Puts the name of the error into the reason that people read. */
function withReason(call: CallExternal): CallExternal {
  return async (request, signal) => {
    try {
      return await call(request, signal)
    } catch (thrown) {
      throw new Error(reasonOf(thrown), { cause: thrown })
    }
  }
}

/** Makes something on the first call, and returns the same on every later one. */
function once<Made>(make: () => Promise<Made>): () => Promise<Made> {
  let made: Promise<Made> | undefined
  return () => {
    made ??= make()
    return made
  }
}

/** The reason for people: the name of an SDK's error says more than its message. */
function reasonOf(thrown: unknown): string {
  const isNamed = thrown instanceof Error && thrown.name !== 'Error'
  return isNamed ? `${thrown.name}: ${thrown.message}` : messageOf(thrown)
}
