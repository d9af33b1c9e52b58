import type { Api } from '../server/api.ts'
import { iotDataOperations } from './iot-data-operations.ts'

/** AWS IoT's data plane (API version 2015-05-28, restJson1). */
export const iotDataPlane: Api = {
  name: 'AWS IoT data plane',
  description:
    'Publishing, retained messages, connections, shadows. Signed for the service `iotdata`.',
  signingName: 'iotdata',
  // The name in AWS IoT's guide, and that of its gateway for devices.
  otherSigningNames: ['iotdevicegateway'],
  awsOperations: iotDataOperations,
  statuses: { ThrottlingException: 429 },
}
