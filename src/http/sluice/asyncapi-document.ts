import { version } from '../../base/version.ts'
import type { CompiledAction } from '../../actions/action/action.ts'
import type { CompiledRule } from '../../rules/compile-rule.ts'
import {
  channelOfBasicIngest,
  channelOfFilter,
  channelOfStream,
  keyOf,
  templatedStreams,
} from './asyncapi-channels.ts'
import type { ChannelPlace } from './asyncapi-channels.ts'

/** What an AsyncAPI document is made of. */
interface AsyncApiSources {
  /** In the order of their names; disabled ones are left out. */
  readonly rules: readonly CompiledRule[]
  readonly readers: readonly StreamReader[]
  /** Where devices connect. */
  readonly brokers: readonly AsyncApiServer[]
  /** Where Kinesis answers. */
  readonly kinesisHostOf: (region: string) => string
  /** The engine's own, where streams are whose names templates make. */
  readonly region: string
}

export interface AsyncApiServer {
  readonly protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss'
  /** With the port. */
  readonly host: string
}

/** A function that an event source mapping calls with the records of a stream. */
export interface StreamReader {
  /** With its version or alias, where it has one. */
  readonly functionName: string
  readonly region: string
  readonly streamName: string
}

type Action = 'send' | 'receive'
type Members = Readonly<Record<string, unknown>>

/** Why a channel is in the document. */
interface Use {
  readonly action: Action
  readonly place: ChannelPlace
  /** The region of a stream; absent for topics. */
  readonly region?: string | undefined
  readonly title: string
  /** Uses with the same operation become one, with all of their words. */
  readonly operation: string
  readonly summary: string
  /** Such as the name of a rule. */
  readonly by: string
}

/**
 * @returns AsyncAPI 3.0 of the enabled rules and of the mappings, the same text for the same
 *   sources; its size grows with their number alone
 */
export function asyncApiDocument(sources: AsyncApiSources): Members {
  const rules = sources.rules.filter(({ disabled }) => !disabled)
  const uses = [
    ...basicIngestUses(rules),
    ...rules.flatMap((rule) => usesOf(rule, sources.region)),
    ...sources.readers.map(useOfReader),
  ].toSorted((one, other) => compare(one.operation, other.operation))
  const regions = [...new Set(uses.flatMap(({ region }) => region ?? []))].toSorted()
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Sluice',
      version,
      description:
        'What devices publish for the rules that run here, the streams that the rules write to, ' +
        'and the functions that read them.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    servers: { ...brokersOf(sources), ...kinesisOf(regions, sources) },
    channels: channelsOf(uses, sources),
    operations: operationsOf(uses),
    components: { messages },
  }
}

const compare = (one: string, other: string) => (one < other ? -1 : Number(one > other))

const messages = {
  deviceMessage: {
    title: 'A message of a device',
    description: 'JSON, unless the statement of the rule decodes something else.',
    payload: {},
  },
  streamRecord: {
    title: 'A record of a stream',
    description: 'What the statement of the rule selects.',
    payload: {},
  },
}

const mqttBindings = { mqtt: { qos: 1, bindingVersion: '0.2.0' } }

function basicIngestUses(rules: readonly CompiledRule[]): readonly Use[] {
  return rules.length === 0
    ? []
    : [
        {
          action: 'receive',
          place: channelOfBasicIngest(rules.map(({ name }) => name)),
          title: 'Basic Ingest',
          operation: 'receive.basicIngest',
          summary: 'Devices publish to one rule, and to no subscriber.',
          by: 'every rule',
        },
      ]
}

function usesOf(rule: CompiledRule, region: string): readonly Use[] {
  const { name, statement, actions, errorAction } = rule
  const uses: Use[] = []
  if (statement.topicFilter !== undefined) {
    const place = channelOfFilter(statement.topicFilter)
    uses.push({
      action: 'receive',
      place,
      title: statement.topicFilter,
      operation: `receive.${place.key}`,
      summary: 'Rules take what devices publish.',
      by: `rule ${name}`,
    })
  }
  for (const action of actions) uses.push(...streamUses(action, `rule ${name}`, region))
  if (errorAction) {
    uses.push(...streamUses(errorAction, `the error action of rule ${name}`, region))
  }
  return uses
}

function streamUses(action: CompiledAction, by: string, ownRegion: string): readonly Use[] {
  if (action.kind !== 'kinesis') return []
  const [stream] = action.constantStreams
  const region = stream?.region ?? ownRegion
  const place = stream ? channelOfStream(region, stream.streamName) : templatedStreams
  return [
    {
      action: 'send',
      place,
      region,
      title: stream?.streamName ?? 'Streams named by templates',
      operation: `send.${place.key}`,
      summary: 'Rules write what they select.',
      by,
    },
  ]
}

function useOfReader({ functionName, region, streamName }: StreamReader): Use {
  const place = channelOfStream(region, streamName)
  return {
    action: 'receive',
    place,
    region,
    title: streamName,
    operation: `receive.${place.key}.${keyOf(functionName)}`,
    summary: `The function ${functionName} gets the records in batches.`,
    by: `function ${functionName}`,
  }
}

const messageOf = ({ region }: Use) => (region === undefined ? 'deviceMessage' : 'streamRecord')

function channelsOf(uses: readonly Use[], { brokers }: AsyncApiSources): Members {
  const ofTopics = brokers.map(({ protocol }) => ({ $ref: `#/servers/${protocol}` }))
  const channels = uses.map((use): [string, Members] => {
    const { place, region, title } = use
    const servers = region === undefined ? ofTopics : [{ $ref: `#/servers/${kinesisKey(region)}` }]
    const { key, address, parameters } = place
    const message = messageOf(use)
    const messageReferences = { [message]: { $ref: `#/components/messages/${message}` } }
    const hasParameters = Object.keys(parameters).length > 0
    return [
      key,
      {
        title,
        address,
        messages: messageReferences,
        ...(hasParameters && { parameters }),
        servers,
      },
    ]
  })
  return Object.fromEntries(channels.toSorted(([one], [other]) => compare(one, other)))
}

/** @param uses those of one operation beside each other */
function operationsOf(uses: readonly Use[]): Members {
  const operations = new Map<string, readonly [Use, Set<string>]>()
  for (const use of uses) {
    const known = operations.get(use.operation)
    if (known) known[1].add(use.by)
    else operations.set(use.operation, [use, new Set([use.by])])
  }
  return Object.fromEntries(
    [...operations].map(([key, [use, by]]) => {
      const channel = `#/channels/${use.place.key}`
      const operation = {
        action: use.action,
        channel: { $ref: channel },
        summary: use.summary,
        description: `By ${[...by].toSorted(compare).join(', ')}.`,
        messages: [{ $ref: `${channel}/messages/${messageOf(use)}` }],
        ...(use.region === undefined && { bindings: mqttBindings }),
      }
      return [key, operation]
    }),
  )
}

function brokersOf({ brokers }: AsyncApiSources): Members {
  return Object.fromEntries(
    brokers.map(({ protocol, host }) => {
      const isWebSocket = protocol === 'ws' || protocol === 'wss'
      const description = `MQTT 3.1.1 and 5${isWebSocket ? ' over WebSocket' : ''}.`
      return [protocol, { host, ...(isWebSocket && { pathname: '/mqtt' }), protocol, description }]
    }),
  )
}

const kinesisKey = (region: string) => `kinesis.${region}`

function kinesisOf(regions: readonly string[], { kinesisHostOf }: AsyncApiSources): Members {
  return Object.fromEntries(
    regions.map((region) => [
      kinesisKey(region),
      { host: kinesisHostOf(region), protocol: 'kinesis', description: `Kinesis in ${region}.` },
    ]),
  )
}
