import type { ErrorCode } from '../../base/errors.ts'
import type { Api } from '../server/api.ts'
import { iotOperations } from './iot-operations.ts'

/** AWS IoT's control plane (API version 2015-05-28, restJson1). */
export const iotControlPlane: Api = {
  name: 'AWS IoT control plane',
  description: 'Rules and their tags. Signed for the service `iot`.',
  signingName: 'iot',
  awsOperations: iotOperations,
}

/** The errors that AWS's service model declares for every operation on rules. */
export const ruleErrors: readonly ErrorCode[] = [
  'InternalException',
  'InvalidRequestException',
  'ServiceUnavailableException',
  'UnauthorizedException',
]
export const ruleUpdateErrors: readonly ErrorCode[] = [
  ...ruleErrors,
  'ConflictingResourceUpdateException',
]
