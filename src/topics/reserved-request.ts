/**
 * The topics that begin with `$aws/` and that devices may publish to, besides Basic Ingest:
 * requests to the services of AWS IoT [AWS IoT Developer Guide, "Reserved topics"]. Devices
 * subscribe to the answers and may not publish to them.
 */
type ReservedRequest = ShadowRequestTopic | JobsRequestTopic | OtherRequestTopic

/** `$aws/things/<thing>/shadow/get`, and `$aws/things/<thing>/shadow/name/<shadow>/get`. */
export interface ShadowRequestTopic {
  readonly service: 'shadow'
  readonly thingName: string
  /** Undefined for the classic shadow. */
  readonly shadowName: string | undefined
  readonly operation: 'get' | 'update' | 'delete'
}

/** `$aws/things/<thing>/jobs/<request>`. */
export interface JobsRequestTopic {
  readonly service: 'jobs'
  readonly thingName: string
  /** Such as `get`, `start-next`, `$next/get` or `<job>/update`. */
  readonly request: string
}

/** A request to a service that Sluice does not have. */
export interface OtherRequestTopic {
  readonly service: 'defender' | 'streams' | 'provisioning' | 'location' | 'commands'
  /** `cbor` where the topic says so. */
  readonly format: 'json' | 'cbor'
}

const thing = '(?<thingName>[a-zA-Z0-9:_-]{1,128})'
const level = '[^/]+'
const format = '(?<format>json|cbor)'

const shadow = new RegExp(
  `^\\$aws/things/${thing}/shadow/(?:name/(?<shadowName>[$a-zA-Z0-9:_-]{1,64})/)?(?<operation>get|update|delete)$`,
)
const jobs = new RegExp(`^\\$aws/things/${thing}/jobs/(?<request>.+)$`)
/** What the service publishes below `jobs/`. */
const jobsAnswer = /(?:^|\/)(?:accepted|rejected)$|^notify(?:-next)?$/

const others: readonly [OtherRequestTopic['service'], RegExp][] = [
  ['defender', new RegExp(`^\\$aws/things/${thing}/defender/metrics/${format}$`)],
  [
    'streams',
    new RegExp(`^\\$aws/things/${thing}/streams/${level}/(?:create|describe|get)/${format}$`),
  ],
  ['provisioning', new RegExp(`^\\$aws/certificates/create(?:-from-csr)?/${format}$`)],
  ['provisioning', new RegExp(`^\\$aws/provisioning-templates/${level}/provision/${format}$`)],
  ['location', new RegExp(`^\\$aws/device_location/${level}/get_position_estimate$`)],
  [
    'commands',
    new RegExp(
      `^\\$aws/commands/(?:things|clients)/${level}/executions/${level}/response(?:/${format})?$`,
    ),
  ],
]

const dollar = 0x24

/**
 * Reads a topic that a device publishes to.
 *
 * @returns undefined for all topics that are no requests, those that do not begin with `$` too
 */
export function parseReservedRequest(topic: string): ReservedRequest | undefined {
  // The first character decides for nearly every topic, with one comparison.
  if (topic.charCodeAt(0) !== dollar || !topic.startsWith('$aws/')) return undefined
  return shadowRequest(topic) ?? jobsRequest(topic) ?? otherRequest(topic)
}

function shadowRequest(topic: string): ShadowRequestTopic | undefined {
  const groups = shadow.exec(topic)?.groups
  const { thingName, shadowName, operation } = groups ?? {}
  if (thingName === undefined) return undefined
  if (operation !== 'get' && operation !== 'update' && operation !== 'delete') return undefined
  return { service: 'shadow', thingName, shadowName, operation }
}

function jobsRequest(topic: string): JobsRequestTopic | undefined {
  const { thingName, request } = jobs.exec(topic)?.groups ?? {}
  if (thingName === undefined || request === undefined || jobsAnswer.test(request)) return undefined
  return { service: 'jobs', thingName, request }
}

function otherRequest(topic: string): OtherRequestTopic | undefined {
  for (const [service, pattern] of others) {
    const found = pattern.exec(topic)
    if (found) return { service, format: found.groups?.['format'] === 'cbor' ? 'cbor' : 'json' }
  }
  return undefined
}
