import type { HttpServerDependencies } from '../../src/http/http-server.ts'
import { createFaultList } from '../../src/lab/faults/fault-list.ts'
import { createFaults } from '../../src/lab/faults/faults.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { fault, fails, http, reject } from './provocation.ts'
import type { Provocation, Provocations } from './provocation.ts'

const effect = { effect: { kind: 'dropCall' } }
const isStateless = true

type Lab = NonNullable<HttpServerDependencies['inspection']>

/** A lab whose list of fault rules is full and works, and where everything else fails. */
function labWithFaults(): { readonly inspection: Lab } {
  const logger = createMemoryLogger(() => undefined)
  const list = createFaultList({ faults: createFaults(), operations: ['PutRecords'], logger })
  for (let count = 0; count < 1_000; count++) list.add(effect)
  return {
    inspection: { ...faultyLab().inspection, addFault: async (rule) => list.add(rule) },
  }
}

function faultyLab(): { readonly inspection: Lab } {
  const failing = reject(fault)
  return {
    inspection: {
      faults: failing,
      addFault: failing,
      removeFault: failing,
      removeFaults: failing,
      streams: failing,
      stream: failing,
      openShards: failing,
      records: failing,
    },
  }
}

const faultyProducer = () => ({ sentStreams: fails })

const provoked = (
  method: string,
  path: string,
  dependencies?: Provocation['dependencies'],
  body?: unknown,
): Provocation => ({
  isStateless,
  call: http(method, path, body),
  ...(dependencies && { dependencies }),
})

/** Of what the API shows of the lab, and of streams. */
export const labProvocations: Provocations = {
  ListLabFaults: {
    ResourceNotFoundException: provoked('GET', '/v1/lab/faults'),
    InternalException: provoked('GET', '/v1/lab/faults', faultyLab),
  },
  AddLabFault: {
    ResourceNotFoundException: provoked('POST', '/v1/lab/faults', undefined, effect),
    InvalidRequestException: provoked('POST', '/v1/lab/faults', labWithFaults, {}),
    LimitExceededException: provoked('POST', '/v1/lab/faults', labWithFaults, effect),
    InternalException: provoked('POST', '/v1/lab/faults', faultyLab, effect),
  },
  RemoveLabFault: {
    ResourceNotFoundException: provoked('DELETE', '/v1/lab/faults/1'),
    InvalidRequestException: provoked('DELETE', '/v1/lab/faults/x'),
    InternalException: provoked('DELETE', '/v1/lab/faults/1', faultyLab),
  },
  RemoveLabFaults: {
    ResourceNotFoundException: provoked('DELETE', '/v1/lab/faults'),
    InternalException: provoked('DELETE', '/v1/lab/faults', faultyLab),
  },
  ListStreams: {
    InternalException: provoked('GET', '/v1/streams', faultyProducer),
  },
  DescribeStream: {
    ResourceNotFoundException: provoked('GET', '/v1/streams/absent'),
    InvalidRequestException: provoked('GET', '/v1/streams/a:b'),
    InternalException: provoked('GET', '/v1/streams/s', faultyProducer),
  },
  ListStreamRecords: {
    ResourceNotFoundException: provoked('GET', '/v1/streams/s/records'),
    InvalidRequestException: provoked('GET', '/v1/streams/s/records?maxResults=0'),
    InternalException: provoked('GET', '/v1/streams/s/records', faultyLab),
  },
}
