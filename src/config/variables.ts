import { deepFreeze } from '../base/deep-freeze.ts'
import type { ValuesOf, VariableTable } from './variable.ts'

/** What delivery settings may be, here and beside a rule. */
export const deliveryLimits = Object.freeze({
  orderings: ['key', 'strict', 'none'] as const,
  /** Kinesis, PutRecords: 500 records and 10 MiB a call. */
  count: { minimum: 1, maximum: 500 },
  bytes: { minimum: 1, maximum: 10_485_760 },
  periodMs: { minimum: 0, maximum: 60_000 },
  maxInFlight: { minimum: 1, maximum: 256 },
  maxAgeMs: { minimum: 0, maximum: 2_592_000_000 },
})

const ports = { minimum: 0, maximum: 65_535 }
const onOrOff = ['on', 'off'] as const
const oneOrZero = ['1', '0'] as const

/**
 * Every variable that Sluice reads, with its default; where there is none, the description says what
 * holds. docs/CONFIG.md is generated from it.
 */
export const variables = deepFreeze({
  SLUICE_MQTT_HOST: {
    kind: 'text',
    default: '127.0.0.1',
    description: 'Address that the MQTT broker listens on.',
  },
  SLUICE_MQTT_PORT: {
    kind: 'integer',
    range: ports,
    default: 1883,
    description: 'Port of the MQTT broker; 0 picks a free one.',
  },
  SLUICE_MQTTS_PORT: {
    kind: 'integer',
    range: ports,
    default: 8883,
    description:
      'Port of MQTT over TLS; 0 picks a free one. Listened on when `SLUICE_TLS_CERT_FILE` is set.',
  },
  SLUICE_MQTTS_HOST: {
    kind: 'text',
    description:
      'Address that MQTT over TLS listens on, so that MQTT in the clear may stay on loopback. Default: `SLUICE_MQTT_HOST`.',
  },
  SLUICE_TLS_CERT_FILE: {
    kind: 'text',
    description:
      'PEM file of the certificate that MQTT over TLS and HTTPS show, with those between it and its CA. The three files are followed while the engine runs; connections that stand are kept.',
  },
  SLUICE_TLS_KEY_FILE: {
    kind: 'text',
    description: 'PEM file of its key, not encrypted, mode 600.',
  },
  SLUICE_TLS_CA_FILE: {
    kind: 'text',
    description:
      'PEM file of the CAs of client certificates. With it clients are asked for a certificate, and one that is not of these CAs ends the connection. A client without any may log in by a password, or anonymously where that is on.',
  },
  SLUICE_MQTT_ANONYMOUS: {
    kind: 'choice',
    choices: onOrOff,
    description:
      'Whether MQTT clients without certificate, user name or signed URL are let in. Default: `on` where they come in on loopback (`SLUICE_MQTT_HOST`, `SLUICE_MQTTS_HOST`; over WebSocket `SLUICE_HTTP_HOST`) or with `SLUICE_INSECURE=1`, else `off`.',
  },
  SLUICE_PASSWORD_FILE: {
    kind: 'text',
    description:
      'File of the MQTT users, which `sluice passwd` writes, mode 600; a change is taken in while the engine runs.',
  },
  SLUICE_POLICIES_DIR: {
    kind: 'text',
    default: './policies',
    description:
      'Folder of the MQTT policies. While it is not there every client that is let in may do everything; once it is, what no policy allows is denied.',
  },
  SLUICE_MQTT_CONNECTIONS_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 1_000_000 },
    default: 10_000,
    description: 'MQTT connections at a time: plain, over TLS and over WebSocket together.',
  },
  SLUICE_MQTT_CONNECTIONS_PER_ADDRESS_MAX: {
    kind: 'integer',
    range: { minimum: 0, maximum: 1_000_000 },
    default: 1_000,
    description:
      'Of these, from one address (of IPv6 its /64); 0 is no limit. Loopback has none: a proxy on this machine may stand for many clients.',
  },
  SLUICE_MQTT_CONNECT_RATE: {
    kind: 'integer',
    range: { minimum: 0, maximum: 100_000 },
    default: 100,
    description:
      'New MQTT connections a second from one address, after ten times as many at once; 0 is no limit. Loopback has none.',
  },
  SLUICE_MQTT_PUBLISH_RATE: {
    kind: 'integer',
    range: { minimum: 0, maximum: 1_000_000 },
    default: 0,
    description: 'Messages a second that one MQTT client may publish; 0 is no limit.',
  },
  SLUICE_MQTT_TOPIC_BYTES_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 65_535 },
    default: 256,
    description:
      'UTF-8 bytes of a topic, over MQTT, HTTP or by a republish action, and of a topic filter, of an MQTT client or in FROM; as on AWS.',
  },
  SLUICE_MQTT_TOPIC_SLASHES_MAX: {
    kind: 'integer',
    // The broker takes 100 levels, three of which may be a Basic Ingest prefix.
    range: { minimum: 0, maximum: 96 },
    default: 7,
    description: 'Slashes in it, as on AWS; those of the prefix `$aws/rules/<rule>/` do not count.',
  },
  SLUICE_MQTT_PAYLOAD_BYTES_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 1_048_576 },
    default: 131_072,
    description: 'Bytes of the payload of an MQTT message, as on AWS.',
  },
  SLUICE_MQTT_FILTERS_PER_SUBSCRIBE_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 1_000 },
    default: 8,
    description: 'Filters in one SUBSCRIBE, as on AWS; more end the connection.',
  },
  SLUICE_MQTT_CLIENT_ID_BYTES_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 65_535 },
    default: 128,
    description: 'UTF-8 bytes of an MQTT client id, as on AWS.',
  },
  SLUICE_HTTP_HOST: {
    kind: 'text',
    default: '127.0.0.1',
    description: 'Address that the HTTP API listens on.',
  },
  SLUICE_HTTP_PORT: {
    kind: 'integer',
    range: ports,
    default: 8080,
    description: 'Port of the HTTP API; 0 picks a free one.',
  },
  SLUICE_HTTP_TLS: {
    kind: 'choice',
    choices: onOrOff,
    description:
      'Whether the HTTP API is served over TLS, with the files of MQTT over TLS. Default: `on` when `SLUICE_TLS_CERT_FILE` is set.',
  },
  SLUICE_HTTP_CALL_RATE: {
    kind: 'integer',
    range: { minimum: 0, maximum: 1_000_000 },
    default: 0,
    description:
      'Calls a second to the HTTP API of one access key or, with `SLUICE_AUTH=off`, of one address; more are answered with ThrottlingException. 0 is no limit.',
  },
  SLUICE_LAB_HOST: {
    kind: 'text',
    default: '127.0.0.1',
    description: 'Address that the local Kinesis and STS listen on.',
  },
  SLUICE_LAB_PORT: {
    kind: 'integer',
    range: ports,
    default: 4567,
    description: 'Port of the local Kinesis and STS; 0 picks a free one.',
  },
  SLUICE_LAB_LIMITS: {
    kind: 'pattern',
    pattern: /^(on|off|(writes|reads|fan-out)(,(writes|reads|fan-out))*)$/,
    form: 'on, off, or some of writes, reads and fan-out with commas between them',
    default: 'on',
    description:
      'Limits of each shard of the local Kinesis, `on` as on AWS: 1000 records/s and 1 MiB/s written, 5 GetRecords/s and 2 MiB/s read, 2 MiB/s and a SubscribeToShard in 5 seconds for each consumer of enhanced fan-out. `off` for measuring and for `sluice simulate --rate max`; or those that apply, such as `writes,reads` without `fan-out`.',
  },
  SLUICE_LAB_STRICT: {
    kind: 'choice',
    choices: oneOrZero,
    default: '0',
    description:
      '`1` lets the local Kinesis and STS verify the signature of each call: it must be by `sluice-lab` with `sluice-lab` as secret, or by keys that AssumeRole gave out.',
  },
  SLUICE_LAB_DATA: {
    kind: 'text',
    description:
      'Folder of its own that the local Kinesis keeps its streams and records in, so that they outlive a restart. Default: none, all is in memory.',
  },
  SLUICE_LAB_MAX_BYTES: {
    kind: 'integer',
    range: { minimum: 1_048_576, maximum: 68_719_476_736 },
    default: 536_870_912,
    description:
      'Memory for the records of all streams of the local Kinesis; beyond it the oldest records go, with a warning.',
  },
  SLUICE_LAB_STATUS_MS: {
    kind: 'integer',
    range: { minimum: 0, maximum: 600_000 },
    description:
      'How long streams and consumers of the local Kinesis are CREATING, UPDATING and DELETING. Default: streams are made and deleted at once, everything else takes 50 ms.',
  },
  SLUICE_RULES_DIR: {
    kind: 'text',
    default: './rules',
    description: 'Folder of the rules, one `<name>.json` each.',
  },
  SLUICE_FUNCTIONS_DIR: {
    kind: 'text',
    default: './functions',
    description:
      'Folder of the functions that event source mappings invoke: `<name>.mjs`, or `<name>.json` with the URL of a Runtime Interface Emulator.',
  },
  SLUICE_SAMPLE_MAPPING: {
    kind: 'choice',
    choices: onOrOff,
    description:
      'Whether a new data folder begins with an event source mapping of the stream `hot-devices` to the function `print_readings`. Default: `on`. In the lab alone: `start` makes no sample.',
  },
  SLUICE_DATA_DIR: {
    kind: 'text',
    description:
      'Folder of the outbox; one process at a time uses it, and a folder of a lab is never used by `start`, nor the other way round. Default: `./lab-data` in the lab, `./data` in `start`.',
  },
  SLUICE_PROTO_DIR: {
    kind: 'text',
    description:
      "In the lab the folder of protobuf descriptors for `decode(x, 'proto', ...)`, in place of S3: `<folder>/<bucket>/<key>`.",
  },
  SLUICE_OUTBOX_MAX_BYTES: {
    kind: 'integer',
    range: { minimum: 1_048_576, maximum: 1_099_511_627_776 },
    default: 1_073_741_824,
    description:
      'Bytes that undelivered records may take on disk. A stream may have a quarter of it; while that is full, messages for the stream wait (QoS 1 and 2) or are dropped and counted (QoS 0).',
  },
  SLUICE_ACCOUNT_ID: {
    kind: 'pattern',
    pattern: /^\d{12}$/,
    form: '12 digits',
    description:
      'AWS account in ARNs, which policies name, and in `accountid()`; STS is then not asked. Default: `000000000000` in the lab; in `start` the account that STS names, else the one that it named last. See SECURITY.md, "The account".',
  },
  AWS_REGION: {
    kind: 'pattern',
    pattern: /^[a-z]{2}(-[a-z]+)+-\d$/,
    form: 'the name of a region, such as eu-central-1',
    description:
      'Region of the streams and in ARNs. Default: `us-east-1` in the lab; in `start` it must be set (`AWS_DEFAULT_REGION` counts too).',
  },
  SLUICE_LOG_LEVEL: {
    kind: 'choice',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    description: 'Lowest level that is logged: debug, info, warn, error, silent.',
  },
  SLUICE_AUTH: {
    kind: 'choice',
    choices: ['off', 'sigv4'],
    description:
      'Authentication of the HTTP API: `sigv4` takes signed requests only, of keys that `sluice keys create` makes. Default: `off` in the lab, `sigv4` in `start`.',
  },
  SLUICE_CREDENTIALS_FILE: {
    kind: 'text',
    description:
      'File of the access keys, mode 600; a change is taken in while the engine runs. Default: `credentials.json` in `SLUICE_DATA_DIR`.',
  },
  SLUICE_METRICS_TOKEN: {
    kind: 'pattern',
    pattern: /^[!-~]{16,256}$/,
    form: '16 to 256 printable characters without blanks',
    isSecret: true,
    description:
      'With `sigv4`, `GET /v1/metrics` is also answered to `Authorization: Bearer <token>`: 16 to 256 printable characters without blanks.',
  },
  SLUICE_INSECURE: {
    kind: 'choice',
    choices: oneOrZero,
    default: '0',
    description:
      '`1` allows what authenticates nobody to listen off loopback: the local Kinesis, the HTTP API with `SLUICE_AUTH=off`, and MQTT, which then lets anonymous clients in unless `SLUICE_MQTT_ANONYMOUS=off`.',
  },
  SLUICE_MQTT_UNANSWERED_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 65_535 },
    default: 64,
    description:
      'Messages of one MQTT client that are handled at a time; the next ones wait in its connection.',
  },
  SLUICE_DRAIN_MS: {
    kind: 'integer',
    range: { minimum: 0, maximum: 600_000 },
    default: 8_000,
    description:
      'How long a stop (SIGTERM) waits for messages without an answer, and for calls to Kinesis. What is left then stays on disk.',
  },
  SLUICE_RULES_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 100_000 },
    default: 1_000,
    description: 'Rules that the store takes.',
  },
  SLUICE_REGEX: {
    kind: 'choice',
    choices: ['linear', 'backtracking'],
    default: 'linear',
    description:
      '`linear`: regular expressions take time in proportion to the text. `backtracking` also runs look-around, backreferences, possessive quantifiers and atomic groups. The risk is yours: such a pattern may take exponential time on a payload made for it, and the whole engine stands still meanwhile. Patterns that need none of these stay linear.',
  },
  SLUICE_DELIVERY_ORDERING: {
    kind: 'choice',
    choices: deliveryLimits.orderings,
    default: 'key',
    description:
      'Order of the records of a partition key: `key` (kept, but within one partly failed call), `strict` (kept always, one record of a key in a call) or `none`. This and the other `SLUICE_DELIVERY_*` are what holds where a rule has no delivery setting of its own.',
  },
  SLUICE_DELIVERY_BATCH_COUNT: {
    kind: 'integer',
    range: deliveryLimits.count,
    default: 500,
    description: 'Records in one call to Kinesis at most.',
  },
  SLUICE_DELIVERY_BATCH_BYTES: {
    kind: 'integer',
    range: deliveryLimits.bytes,
    default: 5_242_880,
    description: 'Bytes in one call to Kinesis at most, partition keys included.',
  },
  SLUICE_DELIVERY_BATCH_PERIOD_MS: {
    kind: 'integer',
    range: deliveryLimits.periodMs,
    default: 0,
    description: 'How long a call that is not full waits for more records.',
  },
  SLUICE_DELIVERY_MAX_IN_FLIGHT: {
    kind: 'integer',
    range: deliveryLimits.maxInFlight,
    default: 16,
    description: 'Calls to one destination at a time.',
  },
  SLUICE_DELIVERY_RETRY_MAX_AGE_MS: {
    kind: 'integer',
    range: deliveryLimits.maxAgeMs,
    default: 86_400_000,
    description:
      'How long a record waits for a missing stream or a refused role, before the error action or the dead letters get it.',
  },
  SLUICE_ROLE_PROBE: {
    kind: 'choice',
    choices: onOrOff,
    description:
      'Whether the roles of a rule are assumed when it is created or replaced over HTTP, and the rule is refused when STS refuses. Default: `on` in `start`, `off` in the lab.',
  },
  SLUICE_ERROR_ACTION_SCOPE: {
    kind: 'choice',
    choices: ['all', 'actions'],
    default: 'all',
    description:
      "What reaches a rule's error action: `all` failures, those of SQL and of templates too, or as on AWS those of `actions` alone.",
  },
} as const satisfies VariableTable)

export type Variables = ValuesOf<typeof variables>
export type VariableName = keyof Variables
