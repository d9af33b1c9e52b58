import type { FastifyRequest } from 'fastify'
import type { ErrorCode } from '../../base/errors.ts'
import type { Api } from '../server/api.ts'

/** What AWS does not have, under `/v1`. */
export const sluiceApi: Api = {
  name: 'Sluice',
  description: 'What AWS does not have. Signed for the service `iot`.',
  signingName: 'iot',
}

/** Who is shown what messages contain. */
export interface PayloadOptions {
  /** Whether the caller's policy allows `sluice:ReadPayloads`; true without authentication. */
  readonly mayReadPayloads: (request: FastifyRequest) => boolean
}

export const readErrors: readonly ErrorCode[] = ['InvalidRequestException', 'InternalException']
export const ruleReadErrors: readonly ErrorCode[] = [...readErrors, 'ResourceNotFoundException']
