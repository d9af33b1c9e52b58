import { invalidArgument, notFound } from '../wire/service-error.ts'
import { isObject, required, structure, text } from '../wire/validation.ts'
import { streamId } from './members.ts'
import { operation } from './operation.ts'
import { resourceArn, resourceOf } from './resource-tags.ts'

/**
 * The resource policies of streams and consumers. The lab keeps them and reports them as they were
 * put; it does not evaluate them.
 */

/** Kinesis Data Streams Developer Guide, "Share access using resource-based policies". */
const policyBytesMax = 20 * 1024
/** What AWS reports of a resource that has no policy. */
const noPolicy = '{}'

export const putResourcePolicy = operation(
  'PutResourcePolicy',
  structure({ ResourceARN: required(resourceArn), StreamId: streamId, Policy: required(text()) }),
  (context, input) => {
    const { stream, holder } = resourceOf(context, input.ResourceARN)
    checkPolicy(input.Policy)
    holder.policy = input.Policy
    context.streams.touch(stream)
    return undefined
  },
)

export const getResourcePolicy = operation(
  'GetResourcePolicy',
  structure({ ResourceARN: required(resourceArn), StreamId: streamId }),
  (context, input) => ({
    Policy: resourceOf(context, input.ResourceARN).holder.policy ?? noPolicy,
  }),
)

export const deleteResourcePolicy = operation(
  'DeleteResourcePolicy',
  structure({ ResourceARN: required(resourceArn), StreamId: streamId }),
  (context, input) => {
    const { stream, holder } = resourceOf(context, input.ResourceARN)
    if (holder.policy === undefined) {
      throw notFound(`No resource policy found for resource ARN ${input.ResourceARN}.`)
    }
    holder.policy = undefined
    context.streams.touch(stream)
    return undefined
  },
)

/** @throws ServiceError InvalidArgumentException for a text that cannot be a policy */
function checkPolicy(policy: string): void {
  const sizeBytes = Buffer.byteLength(policy)
  if (sizeBytes > policyBytesMax) {
    throw invalidArgument(`A resource policy can have ${policyBytesMax} bytes: ${sizeBytes}.`)
  }
  let document: unknown
  try {
    document = JSON.parse(policy)
  } catch {
    throw invalidArgument('The Policy is not valid JSON.')
  }
  if (!isObject(document) || !hasStatements(document['Statement'])) {
    throw invalidArgument('The Policy must be a JSON object with a Statement.')
  }
}

const hasStatements = (value: unknown) =>
  isObject(value) || (Array.isArray(value) && value.length > 0 && value.every(isObject))
