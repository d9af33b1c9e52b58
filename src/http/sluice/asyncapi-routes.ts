import type { FastifyRequest, FastifySchema } from 'fastify'
import { Type } from 'typebox'
import type { EventSourceMappingApi } from '../../event-source/mapping-api.ts'
import { mappingsMax } from '../../event-source/mapping-api.ts'
import { parseEventSource } from '../../event-source/mapping-settings.ts'
import type { RuleStore } from '../../rules/rule-store.ts'
import type { HttpApp } from '../server/http-app.ts'
import { asyncApiDocument } from './asyncapi-document.ts'
import type { AsyncApiServer, StreamReader } from './asyncapi-document.ts'

export interface AsyncApiRouteDependencies {
  readonly rules: Pick<RuleStore, 'all'>
  readonly eventSourceMappings: Pick<EventSourceMappingApi, 'list'>
  /** Asked at each request, because ports are known once they are open. */
  readonly reachableAt: () => ReachableAt
}

/** Where clients reach the engine, and where it reaches Kinesis. */
interface ReachableAt {
  readonly brokers: readonly (Listening & Pick<AsyncApiServer, 'protocol'>)[]
  /** The Kinesis of the lab; absent: that of AWS. */
  readonly kinesis?: Listening | undefined
  readonly region: string
}

interface Listening {
  /** The address that is listened on. `0.0.0.0`, `::` or absent: the host of the request. */
  readonly host?: string | undefined
  /** Absent: that of the request. */
  readonly port?: number | undefined
}

const getAsyncApiDocument = {
  operation: {
    id: 'GetAsyncApiDocument',
    summary: 'Describes topics, streams and functions as AsyncAPI.',
    description:
      'Topic filters of enabled rules and the streams that they write to are channels, and ' +
      'wildcards are parameters of their addresses. For code generators and documentation.',
    answer: { description: 'AsyncAPI 3.0.', schema: Type.Object({}) },
    errors: ['InternalException'],
  },
} satisfies FastifySchema

export function addAsyncApiRoute(
  app: HttpApp,
  { rules, eventSourceMappings, reachableAt }: AsyncApiRouteDependencies,
): void {
  app.get('/v1/asyncapi.json', { schema: getAsyncApiDocument }, async (request) => {
    const { brokers, kinesis, region } = reachableAt()
    return asyncApiDocument({
      rules: rules.all(),
      readers: readersOf(eventSourceMappings),
      brokers: brokers.map(({ protocol, ...at }) => ({ protocol, host: hostOf(at, request) })),
      kinesisHostOf: (of) => (kinesis ? hostOf(kinesis, request) : awsKinesisHost(of)),
      region,
    })
  })
}

const hostForm = /^[\w.-]+$|^\[[\da-f:.]+\]$/i
const anyAddress: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

function hostOf({ host, port }: Listening, request: FastifyRequest): string {
  // A host with braces would be a template of AsyncAPI.
  const asked = hostForm.test(request.hostname) ? request.hostname : 'localhost'
  const name = host === undefined || anyAddress.has(host) ? asked : host
  const shown = name.includes(':') && !name.startsWith('[') ? `[${name}]` : name
  const shownPort = port ?? request.port
  // The default port of a scheme is not in the Host of a request.
  return Number.isInteger(shownPort) ? `${shown}:${shownPort}` : shown
}

const awsKinesisHost = (region: string) =>
  `kinesis.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`

const stopped: ReadonlySet<unknown> = new Set(['Disabled', 'Disabling', 'Deleting'])

function readersOf(mappings: AsyncApiRouteDependencies['eventSourceMappings']) {
  const { EventSourceMappings: all } = mappings.list({ MaxItems: mappingsMax })
  return all.flatMap(({ State, EventSourceArn, FunctionArn }): readonly StreamReader[] => {
    const source = parseEventSource(String(EventSourceArn))
    if (source === undefined || stopped.has(State)) return []
    const functionName = String(FunctionArn).split(':').slice(6).join(':')
    return [{ functionName, region: source.region, streamName: source.streamName }]
  })
}
