import type { ErrorCode } from '../../base/errors.ts'
import type { Api } from '../server/api.ts'

/** What AWS does not have, under `/v1`. */
export const sluiceApi: Api = {
  name: 'Sluice',
  description: 'What AWS does not have. Signed for the service `iot`.',
  signingName: 'iot',
}

export const readErrors: readonly ErrorCode[] = ['InvalidRequestException', 'InternalException']
export const ruleReadErrors: readonly ErrorCode[] = [...readErrors, 'ResourceNotFoundException']
