import { definitionOf } from '../../actions/kinds/service-action-fixtures.ts'
import type { ServiceAnswer } from './recording-service.ts'
import { restError, unavailable } from './service-cases.ts'
import type { ServiceCase } from './service-cases.ts'

/** An error of OpenSearch itself. */
const domainError = (status: number, type: string): ServiceAnswer => ({
  status,
  body: { error: { root_cause: [], type, reason: 'refused' }, status },
})

/** An error of AWS in front of the domain. */
const awsMessage = (status: number, message: string): ServiceAnswer => ({
  status,
  body: { Message: message },
})

const document = {
  endpoint: 'https://search-plant.eu-west-1.es.amazonaws.com',
  index: 'readings-${year}',
  type: '_doc',
  id: '${id}',
}

const stored = { status: 201, body: { _index: 'readings-2026', result: 'created' } }

/** Services that are called without a client of the SDK, by the server that their records name. */
export const documentCases: readonly ServiceCase[] = [
  {
    name: 'OpenSearch',
    definition: definitionOf('openSearch', document),
    messages: [{ output: '{"t":0.50}', payload: { id: 'a/b ü!', year: 2026 } }],
    one: {
      answer: stored,
      sent: ['PUT /readings-2026/_doc/a%2Fb%20%C3%BC!', { t: 0.5 }],
    },
    failures: [
      ['a throttle', domainError(429, 'rejected_execution_exception'), 'passing'],
      ['a block for want of disk', domainError(429, 'cluster_block_exception'), 'passing'],
      ['a throttle of AWS', awsMessage(429, 'Too Many Requests'), 'passing'],
      ['a domain without a leader', domainError(503, 'master_not_discovered_exception'), 'passing'],
      ['a gateway that waits too long', { status: 504, body: 'timeout' }, 'passing'],
      ['a domain that is not there', unavailable, 'passing'],
      ['an answer that cannot be read', { status: 200, body: 'hello' }, 'passing'],
      ['an answer that stores nothing', { status: 200, body: {} }, 'passing'],
      ['a lost answer', { isLost: true }, 'passing'],
      [
        'a write at the same time',
        domainError(409, 'version_conflict_engine_exception'),
        'passing',
      ],
      ['an index just made', domainError(400, 'resource_already_exists_exception'), 'passing'],
      [
        'an expired session',
        awsMessage(403, 'The security token included in the request is expired'),
        'passing',
      ],
      ['a field of another type', domainError(400, 'mapper_parsing_exception'), 'record'],
      ['a field of another type (8)', domainError(400, 'document_parsing_exception'), 'record'],
      [
        'a field that no mapping has',
        domainError(400, 'strict_dynamic_mapping_exception'),
        'record',
      ],
      ['too many fields', domainError(400, 'illegal_argument_exception'), 'record'],
      ['the name of an index', domainError(400, 'invalid_index_name_exception'), 'record'],
      ['a path without a handler', { status: 400, body: { error: 'no handler found' } }, 'record'],
      ['a method that the path has not', { status: 405, body: { error: 'incorrect' } }, 'record'],
      ['a document that is too large', { status: 413, body: 'too large' }, 'record'],
      [
        'a role without the permission',
        awsMessage(403, 'User: u is not authorized'),
        'destination',
      ],
      ['a user of the domain without it', domainError(403, 'security_exception'), 'destination'],
      ['an index that is blocked', domainError(403, 'cluster_block_exception'), 'destination'],
      ['a login', { status: 401, body: 'Unauthorized' }, 'destination'],
      ['a missing index', domainError(404, 'index_not_found_exception'), 'destination'],
      ['a closed index', domainError(400, 'index_closed_exception'), 'destination'],
      ['no room for shards', domainError(400, 'validation_exception'), 'destination'],
      [
        'a redirection',
        { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
        'destination',
      ],
    ],
  },
  {
    name: 'Elasticsearch, with a type of its own',
    definition: definitionOf('elasticsearch', { ...document, type: 'reading' }),
    messages: [{ output: '[1]', payload: { id: '1', year: 2026 } }],
    one: { answer: { body: { result: 'updated' } }, sent: ['PUT /readings-2026/reading/1', [1]] },
    failures: [],
  },
]

const eventErrors = (code: string) => ({
  body: { BatchPutMessageErrorEntries: [{ messageId: 'uuid-1', errorCode: code }] },
})

const base64 = (text: string) => Buffer.from(text).toString('base64')

const endedFailures: ServiceCase['failures'] = [
  ['a throttle', restError(429, 'ThrottlingException'), 'passing'],
  ['a service that is not there', unavailable, 'passing'],
  ['an answer that cannot be read', { status: 200, body: 'hello' }, 'passing'],
  ['a request that is refused', restError(400, 'InvalidRequestException'), 'record'],
  ['a caller without the permission', restError(403, 'AccessDeniedException'), 'destination'],
  ['a missing target', restError(404, 'ResourceNotFoundException'), 'destination'],
]

/** Services that AWS has ended: they are called where their own variable says. */
export const endedCases: readonly ServiceCase[] = [
  {
    name: 'IoT Events',
    definition: definitionOf('iotEvents', { inputName: 'input', batchMode: true }),
    messages: [{ output: '[{"t":0.50},{"t":1}]' }],
    one: {
      answer: { body: { BatchPutMessageErrorEntries: [] } },
      sent: [
        'POST /inputs/messages',
        {
          messages: [
            { messageId: 'uuid-1', inputName: 'input', payload: base64('{"t":0.50}') },
            { messageId: 'uuid-1', inputName: 'input', payload: base64('{"t":1}') },
          ],
        },
      ],
    },
    failures: [
      ...endedFailures,
      ['a throttled message', eventErrors('ThrottlingException'), 'passing'],
      ['a message that is refused', eventErrors('InvalidRequestException'), 'record'],
      ['a message for a missing input', eventErrors('ResourceNotFoundException'), 'destination'],
    ],
  },
  {
    name: 'IoT Analytics',
    definition: definitionOf('iotAnalytics', { channelName: 'channel' }),
    messages: [{ output: '{"t":0.50}' }],
    one: {
      answer: {},
      sent: [
        'POST /messages/batch',
        {
          channelName: 'channel',
          messages: [{ messageId: 'uuid-1', payload: base64('{"t":0.50}') }],
        },
      ],
    },
    failures: [
      ...endedFailures,
      [
        'a message that is refused',
        { body: { batchPutMessageErrorEntries: [{ errorCode: 'InvalidRequestException' }] } },
        'record',
      ],
    ],
  },
  {
    name: 'Salesforce, without the token',
    definition: {
      salesforce: {
        token: 'x'.repeat(40),
        url: 'https://ingestion-a1.b2.sfdcnow.com/streams/stream/1/event',
      },
    },
    messages: [{ output: '{"t":0.50}' }],
    one: { answer: { status: 202 }, sent: ['POST /streams/stream/1/event', { t: 0.5 }] },
    failures: [
      ['a throttle', { status: 429 }, 'passing'],
      ['a service that is not there', unavailable, 'passing'],
      ['an event that is refused', { status: 422 }, 'record'],
      ['a login', { status: 401 }, 'destination'],
    ],
  },
]
