import { existsSync } from 'node:fs'
import path from 'node:path'
import type { ActionKind } from '../../actions/action/action.ts'
import type { HttpHosts } from '../../aws/http/http-hosts.ts'
import { hasSender, isServerOfRecords } from '../../aws/service-senders.ts'
import { isLoopback } from '../../base/loopback.ts'
import { endpointVariableOf, labServerNames } from '../../config/lab-action-variables.ts'
import type { LabActionsConfig } from '../../config/lab-actions.ts'
import type { LabService } from '../../config/lab-action-variables.ts'
import type { HeldFunctions } from '../../event-source/functions/held-functions.ts'
import { bootstrapHostsOf, propertiesIn, refusalOfKafka } from '../../kafka/client-properties.ts'
import type { ClientProperties } from '../../kafka/client-properties.ts'
import type { ServiceKind } from '../../outbox/outbox.ts'
import type { TopicRulePayload } from '../../rules/payload.ts'
import type { Logger } from '../../telemetry/telemetry.ts'

/** What the lab does with the actions of a rule. */
export interface LabActions {
  /**
   * The server that takes the calls of an action; undefined when there is none.
   *
   * @param url the server that the action names, for actions that name one
   */
  endpointOf(kind: ServiceKind, url?: string): string | undefined
  /** The names of hosts, beyond loopback, that may be called. */
  readonly endpointHosts: readonly string[]
  /** Whether all brokers of a Kafka cluster may be called. */
  takesBrokers(properties: ClientProperties): boolean
  /** The kinds of the actions whose calls are recorded, in the order of the rule. */
  recordedKinds(payload: Pick<TopicRulePayload, 'actions' | 'errorAction'>): readonly string[]
  /** Why the lab refuses an action; undefined when it does not. */
  refusalOf(kind: ActionKind, fields: object): string | undefined
}

/** The service that an action calls. Kinds that are absent are always recorded. */
const services: { readonly [Kind in ServiceKind]?: LabService } = {
  cloudwatchAlarm: 'CLOUDWATCH',
  cloudwatchLogs: 'CLOUDWATCH_LOGS',
  cloudwatchMetric: 'CLOUDWATCH',
  dynamoDB: 'DYNAMODB',
  dynamoDBv2: 'DYNAMODB',
  elasticsearch: 'OPENSEARCH',
  firehose: 'FIREHOSE',
  iotAnalytics: 'IOTANALYTICS',
  iotEvents: 'IOT_EVENTS_DATA',
  iotSiteWise: 'IOTSITEWISE',
  lambda: 'LAMBDA',
  location: 'LOCATION',
  openSearch: 'OPENSEARCH',
  s3: 'S3',
  salesforce: 'SALESFORCE',
  sns: 'SNS',
  sqs: 'SQS',
  stepFunctions: 'SFN',
  timestream: 'TIMESTREAM_WRITE',
}

/** Where functions of this machine are. */
interface LocalFunctionPlaces {
  readonly functionsDir: string
  /** Those of stack templates. */
  readonly heldFunctions?: Pick<HeldFunctions, 'has'> | undefined
}

export function createLabActions(
  { endpoints, hosts, isStrict }: LabActionsConfig,
  { isCalledByLab, ...functions }: LocalFunctionPlaces & Pick<HttpHosts, 'isCalledByLab'>,
): LabActions {
  const endpointOf = (kind: ServiceKind, url?: string) => {
    const service = services[kind]
    if (service === undefined || !hasSender(kind)) return undefined
    return endpoints[service] ?? (isServerOfRecords(kind) ? nearbyServer(url, hosts) : undefined)
  }

  const takesBrokers = (properties: ClientProperties) =>
    bootstrapHostsOf(properties)?.every((host) => isLoopback(host) || hosts.includes(host)) ?? false

  function isRecorded(kind: ActionKind, fields: object): boolean {
    if (kind === 'kinesis' || kind === 'republish') return false
    if (kind === 'kafka') return !takesBrokers(propertiesIn(fields))
    const { endpoint } = fields as { readonly endpoint?: string }
    if (endpointOf(kind, endpoint) !== undefined) return false
    if (kind === 'http') return !isCalledByLab(confirmationUrlOf(fields))
    return kind !== 'lambda' || missingFunction(fields, functions) !== undefined
  }

  return {
    endpointOf,
    endpointHosts: hosts,
    takesBrokers,
    recordedKinds({ actions, errorAction }) {
      const kinds = [...actions, ...(errorAction ? [errorAction] : [])]
        .flatMap((action) => Object.entries(action) as [ActionKind, object][])
        .filter(([kind, fields]) => isRecorded(kind, fields))
        .map(([kind]) => kind)
      return [...new Set(kinds)]
    },
    refusalOf(kind, fields) {
      if (!isRecorded(kind, fields)) return kind === 'kafka' ? refusalOfKafka(fields) : undefined
      if (!isStrict) return undefined
      const advice =
        kind === 'lambda'
          ? `put ${missingFunction(fields, functions)}.mjs into ${functions.functionsDir}`
          : adviceFor(kind)
      return (
        'the lab would only record the calls of this action, and SLUICE_LAB_ACTIONS=strict ' +
        `refuses that: ${advice}`
      )
    },
  }
}

/** The server of a URL that the lab may call without being told to. */
function nearbyServer(url: string | undefined, hosts: readonly string[]): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined
  const { origin, hostname } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  return isLoopback(host) || hosts.includes(host) ? origin : undefined
}

function adviceFor(kind: ActionKind): string {
  if (kind === 'kafka') {
    return 'bootstrap.servers names a broker on loopback or of SLUICE_LAB_AWS_ENDPOINT_HOSTS'
  }
  if (kind === 'http') return 'give it a URL on loopback'
  if (kind === 'influxDB') return 'no server takes it, so leave the rule out or do without strict'
  const service = kind === 'kinesis' || kind === 'republish' ? undefined : services[kind]
  return service !== undefined && labServerNames.includes(service)
    ? `${endpointVariableOf(service)} names a server`
    : 'SLUICE_LAB_AWS_ENDPOINT_URL names an emulator'
}

/** Notes which actions of a rule the lab records. @returns their kinds */
export type NoteRecorded = (ruleName: string, payload: TopicRulePayload) => readonly string[]

/** Makes the function that logs which actions of a rule are recorded. */
export function createRecordedNote(
  { recordedKinds }: Pick<LabActions, 'recordedKinds'>,
  logger: Pick<Logger, 'warn'>,
): NoteRecorded {
  return (rule, payload) => {
    const actions = recordedKinds(payload)
    if (actions.length > 0) {
      const text = `the lab records the calls of the rule ${rule} for ${actions.join(', ')}`
      logger.warn({ rule, actions }, `${text} instead of making them`)
    }
    for (const reason of refusalsOfKafka(payload)) {
      logger.warn({ rule, reason }, `\`sluice start\` refuses the rule ${rule}: ${reason}`)
    }
    return actions
  }
}

/**
 * The lab takes these for the sake of rules that are tried there: it records their calls, whatever
 * their properties say. Where it sends them, it refuses them itself.
 */
function refusalsOfKafka({ actions, errorAction }: TopicRulePayload): readonly string[] {
  return [...actions, ...(errorAction ? [errorAction] : [])].flatMap((action) => {
    const fields = (action as { readonly kafka?: object }).kafka
    return (fields && refusalOfKafka(fields)) ?? []
  })
}

/** The URL that decides where an HTTP action goes: its own URL is of the same host. */
function confirmationUrlOf(fields: object): string {
  const { url = '', confirmationUrl } = fields as {
    readonly url?: string
    readonly confirmationUrl?: string
  }
  return confirmationUrl || url
}

/** The name of a function that the folder lacks. A template may name one that it has. */
function missingFunction(
  fields: object,
  { functionsDir, heldFunctions }: LocalFunctionPlaces,
): string | undefined {
  const { functionArn = '' } = fields as { readonly functionArn?: string }
  const name = functionArn.split(':')[6]
  if (name === undefined || !/^[\w-]+$/.test(name)) return undefined
  if (heldFunctions?.has(name) === true) return undefined
  const isThere = ['.mjs', '.json'].some((ending) =>
    existsSync(path.join(functionsDir, `${name}${ending}`)),
  )
  return isThere ? undefined : name
}
