import type { Api } from '../server/api.ts'
import { lambdaOperations } from './lambda-operations.ts'

/** The part of AWS Lambda's API that is served (API version 2015-03-31, restJson1). */
export const lambdaApi: Api = {
  name: 'AWS Lambda',
  description: 'Event source mappings, and local functions. Signed for the service `lambda`.',
  signingName: 'lambda',
  awsOperations: lambdaOperations,
  errorBody: ({ message, isFault }) => ({
    Type: isFault ? 'Service' : 'User',
    Message: message,
    message,
  }),
}
