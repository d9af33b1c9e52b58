import { Histogram, Registry } from 'prom-client'
import { version } from '../base/version.ts'
import { awsIotSamples } from './aws-iot-samples.ts'
import {
  counter,
  gauge,
  sampledCounter,
  sampledGauge,
  sampledGauges,
  tallyCounter,
  tallyHistogram,
} from './metric-kinds.ts'
import { actionFailuresOf, createRuleStatistics, evaluationsOf } from './rule-statistics.ts'
import type { RuleStatisticsBook } from './rule-statistics.ts'

export { createLogger, createMemoryLogger } from './logger.ts'
export type { LogLevel, Logger } from './logger.ts'
export type { Tally } from './metric-kinds.ts'

/**
 * The logger and the one list of metrics. Every metric of the engine is declared here with its
 * name, labels and meaning. Code that needs only the logger imports logger.ts, because the metrics
 * library takes time to load.
 */
export interface Metrics extends ReturnType<typeof declareMetrics> {
  readonly registry: Registry
  /** What rules and actions did since the start, by name, for the API and for metrics. */
  readonly ruleStatistics: RuleStatisticsBook
}

/** Makes the metrics of one engine. Each engine has its own registry, because tests run several. */
export function createMetrics(): Metrics {
  const registry = new Registry()
  const ruleStatistics = createRuleStatistics()
  const metrics = declareMetrics(registry, ruleStatistics)
  sampledCounter(
    registry,
    'sluice_aws_iot_metric_total',
    "The rule metrics of AWS IoT by AWS's names; action is its index, or errorAction.",
    {
      labels: ['metric', 'rule', 'action'],
      bounded: ['rule'],
      read: async () =>
        awsIotSamples(ruleStatistics, (await metrics.recordsDelivered.get()).values),
    },
  )
  gauge(
    registry,
    'sluice_build_info',
    'Always 1; the version of Sluice and of Node.js are labels.',
    'version',
    'node',
  ).set({ version, node: process.version }, 1)
  return { registry, ruleStatistics, ...metrics }
}

const declareMetrics = (registry: Registry, ruleStatistics: RuleStatisticsBook) => ({
  ...ingressMetrics(registry),
  ...upstreamMetrics(registry),
  ...ruleMetrics(registry, ruleStatistics),
  ...outboxMetrics(registry),
  ...kinesisMetrics(registry),
  mappingRecordsFiltered: counter(
    registry,
    'sluice_mapping_records_filtered_total',
    'Records that the filters of an event source mapping left out.',
    'mapping',
  ),
  identityFilesUnreadable: gauge(
    registry,
    'sluice_identity_files_unreadable',
    'Whether policies, passwords, access keys or files of TLS cannot be read: 1 or 0.',
    'files',
  ),
  httpRequests: counter(
    registry,
    'sluice_http_requests_total',
    'HTTP requests by route pattern and status.',
    'route',
    'status',
  ),
})

const ingressMetrics = (registry: Registry) => ({
  mqttConnections: gauge(registry, 'sluice_mqtt_connections', 'MQTT clients connected now.'),
  mqttHeldBytes: sampledGauge(
    registry,
    'sluice_mqtt_held_bytes',
    'Bytes of messages that were read and are not finished; bounded.',
  ),
  mqttStalls: counter(
    registry,
    'sluice_mqtt_stalls_total',
    'Times that publishers were held back for seconds and none of them went on.',
  ),
  mqttAbsentSessions: sampledGauge(
    registry,
    'sluice_mqtt_absent_sessions',
    'Sessions of clients that are not connected and may come back.',
  ),
  mqttQueuedBytes: sampledGauge(
    registry,
    'sluice_mqtt_queued_bytes',
    'Bytes of messages kept for the sessions of subscribers; bounded.',
  ),
  retainedMessages: sampledGauge(
    registry,
    'sluice_mqtt_retained_messages',
    'Retained messages; bounded.',
  ),
  messagesNotKept: counter(
    registry,
    'sluice_mqtt_messages_not_kept_total',
    'Messages not kept for an absent or later subscriber, because a bound was reached.',
    'reason',
  ),
  mqttConnectionsRefused: counter(
    registry,
    'sluice_mqtt_connections_refused_total',
    'MQTT connections refused or closed by the broker.',
    'reason',
  ),
  messagesReceived: tallyCounter(
    registry,
    'sluice_messages_received_total',
    'Messages handed to the engine.',
    'transport',
    'qos',
  ),
  messagesAcknowledged: tallyCounter(
    registry,
    'sluice_messages_acknowledged_total',
    'Messages whose records are all durable, so that the sender may forget them.',
    'transport',
    'qos',
  ),
  messagesRejected: counter(
    registry,
    'sluice_messages_rejected_total',
    'Messages refused or failed before they were accepted.',
    'reason',
  ),
})

/** Without an upstream broker they have no values. */
const upstreamMetrics = (registry: Registry) => ({
  upstreamConnected: sampledGauges(
    registry,
    'sluice_upstream_connected',
    'Whether messages of the upstream broker are read: 1 or 0.',
    'broker',
  ),
  upstreamUnacknowledged: sampledGauges(
    registry,
    'sluice_upstream_unacknowledged',
    'Messages of the upstream broker that are not durable yet; bounded.',
    'broker',
  ),
  upstreamMessages: tallyCounter(
    registry,
    'sluice_upstream_messages_total',
    'Messages of the upstream broker: durable, dropped (QoS 0), invalid, or retained ones left out.',
    'outcome',
  ),
  upstreamReconnects: counter(
    registry,
    'sluice_upstream_reconnects_total',
    'Connections to the upstream broker after the first one.',
    'broker',
  ),
})

const ruleMetrics = (registry: Registry, statistics: RuleStatisticsBook) => ({
  rules: gauge(registry, 'sluice_rules', 'Rules in the store.', 'state'),
  ruleReloadFailures: counter(
    registry,
    'sluice_rule_reload_failures_total',
    'Rule files that changed on disk and could not be used; the last good version stays.',
  ),
  ruleEvaluations: sampledCounter(
    registry,
    'sluice_rule_evaluations_total',
    'Messages that a rule was evaluated on, by result: matched, unmatched or failed.',
    { labels: ['rule', 'result'], bounded: ['rule'], read: () => evaluationsOf(statistics) },
  ),
  actionFailures: sampledCounter(
    registry,
    'sluice_action_failures_total',
    'Actions that could not be carried out for a message.',
    {
      labels: ['rule', 'action'],
      bounded: ['rule', 'action'],
      read: () => actionFailuresOf(statistics),
    },
  ),
})

const outboxMetrics = (registry: Registry) => ({
  recordsAccepted: counter(
    registry,
    'sluice_records_accepted_total',
    'Records that became durable in the outbox.',
    'rule',
    'action',
  ),
  recordsHandedOver: counter(
    registry,
    'sluice_records_handed_over_total',
    "Records that the stream did not take, and the rule's error action did.",
    'rule',
    'action',
  ),
  recordsDeadLettered: counter(
    registry,
    'sluice_records_dead_lettered_total',
    'Records that were given up and put among the dead letters.',
    'rule',
    'action',
  ),
  recordsDropped: counter(
    registry,
    'sluice_records_dropped_total',
    'Records that are gone undelivered: of QoS 0 for want of room, or deleted or pushed out of the dead letters.',
    'rule',
    'action',
  ),
  deadLetters: gauge(registry, 'sluice_dead_letters', 'Dead letters held.'),
  deadLetterBytes: gauge(registry, 'sluice_dead_letters_bytes', 'Bytes of those on disk.'),
  outboxAppendsWaiting: gauge(
    registry,
    'sluice_outbox_appends_waiting',
    'Messages that wait because the share of a destination is full.',
  ),
  outboxRecords: gauge(registry, 'sluice_outbox_records', 'Records accepted, not yet delivered.'),
  outboxBytes: gauge(registry, 'sluice_outbox_bytes', 'Bytes of those records on disk.'),
  outboxRowsQuarantined: counter(
    registry,
    'sluice_outbox_rows_quarantined_total',
    'Rows of the outbox that were found damaged and put in quarantine.',
    'table',
  ),
  outboxOldestAge: sampledGauges(
    registry,
    'sluice_outbox_oldest_age_seconds',
    'Age of the oldest record that waits for a destination; absent while none waits.',
    'stream',
  ),
  outboxCommitSeconds: new Histogram({
    name: 'sluice_outbox_commit_seconds',
    help: 'From handing records to the outbox until they are flushed to disk.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers: [registry],
  }),
})

const kinesisMetrics = (registry: Registry) => ({
  recordsDelivered: counter(
    registry,
    'sluice_records_delivered_total',
    'Records that the stream acknowledged, one by one.',
    'rule',
    'action',
  ),
  publishToDelivered: tallyHistogram(
    registry,
    'sluice_publish_to_delivered_seconds',
    'From the arrival of a message until a record of it was taken by its destination.',
    'kind',
    // Round trips to a service, throttled shards, and destinations that were away for hours.
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200],
  ),
  credentialsAge: sampledGauges(
    registry,
    'sluice_credentials_age_seconds',
    'Time since STS gave the credentials that are in use for a role.',
    'role',
  ),
  recordsRetried: counter(
    registry,
    'sluice_records_retried_total',
    'Records sent again after a failure, by the code of that failure.',
    'stream',
    'code',
  ),
  kinesisCalls: counter(
    registry,
    'sluice_kinesis_calls_total',
    'Calls to Kinesis by operation and outcome: ok, partial, or the error code.',
    'operation',
    'outcome',
  ),
  kinesisCallsInFlight: gauge(
    registry,
    'sluice_kinesis_calls_in_flight',
    'Calls to Kinesis not answered yet.',
  ),
  serviceCalls: counter(
    registry,
    'sluice_service_calls_total',
    'Calls to services other than Kinesis by kind of action, operation and outcome.',
    'kind',
    'operation',
    'outcome',
  ),
  destinationsFailing: gauge(
    registry,
    'sluice_destination_failing',
    '1 while the last call for a stream failed for a reason of the destination itself.',
    'stream',
    'code',
  ),
})
