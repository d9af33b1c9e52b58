import { Type } from 'typebox'
import type { Static } from 'typebox'
import { logLevels } from './telemetry.ts'

const count = (
  range: { readonly minimum: number; readonly maximum: number },
  defaultCount: number,
  description: string,
) => Type.Integer({ ...range, default: defaultCount, description })
const optionalText = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, description }))
const optionalSwitch = (description: string) =>
  Type.Optional(Type.Union([Type.Literal('on'), Type.Literal('off')], { description }))
const port = (defaultPort: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 65_535, default: defaultPort, description })
const text = (defaultText: string, description: string) =>
  Type.String({ minLength: 1, default: defaultText, description })

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

/** How regular expressions may run. */
const regexModes = ['linear', 'backtracking'] as const

/**
 * Every variable that Sluice reads, with its default; where there is none, the description says what
 * holds. docs/CONFIG.md is generated from it.
 */
export const variables = Type.Object({
  SLUICE_MQTT_HOST: text('127.0.0.1', 'Address that the MQTT broker listens on.'),
  SLUICE_MQTT_PORT: port(1883, 'Port of the MQTT broker; 0 picks a free one.'),
  SLUICE_MQTTS_PORT: port(
    8883,
    'Port of MQTT over TLS; 0 picks a free one. Listened on when `SLUICE_TLS_CERT_FILE` is set.',
  ),
  SLUICE_MQTTS_HOST: optionalText(
    'Address that MQTT over TLS listens on, so that MQTT in the clear may stay on loopback. Default: `SLUICE_MQTT_HOST`.',
  ),
  SLUICE_TLS_CERT_FILE: optionalText(
    'PEM file of the certificate that MQTT over TLS and HTTPS show, with those between it and its CA. The three files are followed while the engine runs; connections that stand are kept.',
  ),
  SLUICE_TLS_KEY_FILE: optionalText('PEM file of its key, not encrypted, mode 600.'),
  SLUICE_TLS_CA_FILE: optionalText(
    'PEM file of the CAs of client certificates. With it clients are asked for a certificate, and one that is not of these CAs ends the connection. A client without any may log in by a password, or anonymously where that is on.',
  ),
  SLUICE_MQTT_ANONYMOUS: optionalSwitch(
    'Whether MQTT clients without certificate, user name or signed URL are let in. Default: `on` where they come in on loopback (`SLUICE_MQTT_HOST`, `SLUICE_MQTTS_HOST`; over WebSocket `SLUICE_HTTP_HOST`) or with `SLUICE_INSECURE=1`, else `off`.',
  ),
  SLUICE_PASSWORD_FILE: optionalText(
    'File of the MQTT users, which `sluice passwd` writes, mode 600; a change is taken in while the engine runs.',
  ),
  SLUICE_POLICIES_DIR: text(
    './policies',
    'Folder of the MQTT policies. While it is not there every client that is let in may do everything; once it is, what no policy allows is denied.',
  ),
  SLUICE_MQTT_CONNECTIONS_MAX: count(
    { minimum: 1, maximum: 1_000_000 },
    10_000,
    'MQTT connections at a time: plain, over TLS and over WebSocket together.',
  ),
  SLUICE_MQTT_CONNECTIONS_PER_ADDRESS_MAX: count(
    { minimum: 0, maximum: 1_000_000 },
    1_000,
    'Of these, from one address (of IPv6 its /64); 0 is no limit. Loopback has none: a proxy on this machine may stand for many clients.',
  ),
  SLUICE_MQTT_CONNECT_RATE: count(
    { minimum: 0, maximum: 100_000 },
    100,
    'New MQTT connections a second from one address, after ten times as many at once; 0 is no limit. Loopback has none.',
  ),
  SLUICE_MQTT_PUBLISH_RATE: count(
    { minimum: 0, maximum: 1_000_000 },
    0,
    'Messages a second that one MQTT client may publish; 0 is no limit.',
  ),
  SLUICE_MQTT_TOPIC_BYTES_MAX: count(
    { minimum: 1, maximum: 65_535 },
    256,
    'UTF-8 bytes of a topic, over MQTT, HTTP or by a republish action, and of a filter of an MQTT client; as on AWS.',
  ),
  SLUICE_MQTT_TOPIC_SLASHES_MAX: count(
    // The broker takes 100 levels, three of which may be a Basic Ingest prefix.
    { minimum: 0, maximum: 96 },
    7,
    'Slashes in it, as on AWS; those of the prefix `$aws/rules/<rule>/` do not count.',
  ),
  SLUICE_MQTT_PAYLOAD_BYTES_MAX: count(
    { minimum: 1, maximum: 1_048_576 },
    131_072,
    'Bytes of the payload of an MQTT message, as on AWS.',
  ),
  SLUICE_MQTT_FILTERS_PER_SUBSCRIBE_MAX: count(
    { minimum: 1, maximum: 1_000 },
    8,
    'Filters in one SUBSCRIBE, as on AWS; more end the connection.',
  ),
  SLUICE_MQTT_CLIENT_ID_BYTES_MAX: count(
    { minimum: 1, maximum: 65_535 },
    128,
    'UTF-8 bytes of an MQTT client id, as on AWS.',
  ),
  SLUICE_HTTP_HOST: text('127.0.0.1', 'Address that the HTTP API listens on.'),
  SLUICE_HTTP_PORT: port(8080, 'Port of the HTTP API; 0 picks a free one.'),
  SLUICE_HTTP_TLS: optionalSwitch(
    'Whether the HTTP API is served over TLS, with the files of MQTT over TLS. Default: `on` when `SLUICE_TLS_CERT_FILE` is set.',
  ),
  SLUICE_HTTP_CALL_RATE: count(
    { minimum: 0, maximum: 1_000_000 },
    0,
    'Calls a second to the HTTP API of one access key or, with `SLUICE_AUTH=off`, of one address; more are answered with ThrottlingException. 0 is no limit.',
  ),
  SLUICE_LAB_HOST: text('127.0.0.1', 'Address that the local Kinesis and STS listen on.'),
  SLUICE_LAB_PORT: port(4567, 'Port of the local Kinesis and STS; 0 picks a free one.'),
  SLUICE_LAB_LIMITS: Type.String({
    pattern: '^(on|off|(writes|reads|fan-out)(,(writes|reads|fan-out))*)$',
    default: 'on',
    description:
      'Limits of each shard of the local Kinesis, `on` as on AWS: 1000 records/s and 1 MiB/s written, 5 GetRecords/s and 2 MiB/s read, 2 MiB/s and a SubscribeToShard in 5 seconds for each consumer of enhanced fan-out. `off` for measuring and for `sluice simulate --rate max`; or those that apply, such as `writes,reads` without `fan-out`.',
  }),
  SLUICE_LAB_STRICT: Type.Union([Type.Literal('1'), Type.Literal('0')], {
    default: '0',
    description:
      '`1` lets the local Kinesis and STS verify the signature of each call: it must be by `sluice-lab` with `sluice-lab` as secret, or by keys that AssumeRole gave out.',
  }),
  SLUICE_LAB_DATA: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'Folder of its own that the local Kinesis keeps its streams and records in, so that they outlive a restart. Default: none, all is in memory.',
    }),
  ),
  SLUICE_LAB_MAX_BYTES: Type.Integer({
    minimum: 1_048_576,
    maximum: 68_719_476_736,
    default: 536_870_912,
    description:
      'Memory for the records of all streams of the local Kinesis; beyond it the oldest records go, with a warning.',
  }),
  SLUICE_LAB_STATUS_MS: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 600_000,
      description:
        'How long streams and consumers of the local Kinesis are CREATING, UPDATING and DELETING. Default: streams are made and deleted at once, everything else takes 50 ms.',
    }),
  ),
  SLUICE_RULES_DIR: text('./rules', 'Folder of the rules, one `<name>.json` each.'),
  SLUICE_FUNCTIONS_DIR: text(
    './functions',
    'Folder of the functions that event source mappings invoke: `<name>.mjs`, or `<name>.json` with the URL of a Runtime Interface Emulator.',
  ),
  SLUICE_SAMPLE_MAPPING: Type.Optional(
    Type.Union([Type.Literal('on'), Type.Literal('off')], {
      description:
        'Whether a new data folder begins with an event source mapping of the stream `hot-devices` to the function `print_readings`. Default: `on` in the lab, `off` in `start`.',
    }),
  ),
  SLUICE_DATA_DIR: text('./data', 'Folder of the outbox; one process at a time uses it.'),
  SLUICE_PROTO_DIR: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        "In the lab the folder of protobuf descriptors for `decode(x, 'proto', ...)`, in place of S3: `<folder>/<bucket>/<key>`.",
    }),
  ),
  SLUICE_OUTBOX_MAX_BYTES: Type.Integer({
    minimum: 1_048_576,
    maximum: 1_099_511_627_776,
    default: 1_073_741_824,
    description:
      'Bytes that undelivered records may take on disk. A stream may have a quarter of it; while that is full, messages for the stream wait (QoS 1 and 2) or are dropped and counted (QoS 0).',
  }),
  SLUICE_ACCOUNT_ID: Type.Optional(
    Type.String({
      pattern: '^[0-9]{12}$',
      description:
        'AWS account in ARNs and in `accountid()`. Default: `000000000000` in the lab; in `start` the account that STS names.',
    }),
  ),
  AWS_REGION: Type.Optional(
    Type.String({
      pattern: '^[a-z]{2}(-[a-z]+)+-[0-9]$',
      description:
        'Region of the streams and in ARNs. Default: `us-east-1` in the lab; in `start` it must be set (`AWS_DEFAULT_REGION` counts too).',
    }),
  ),
  SLUICE_LOG_LEVEL: Type.Union(
    logLevels.map((level) => Type.Literal(level)),
    { default: 'info', description: `Lowest level that is logged: ${logLevels.join(', ')}.` },
  ),
  SLUICE_AUTH: Type.Optional(
    Type.Union([Type.Literal('off'), Type.Literal('sigv4')], {
      description:
        'Authentication of the HTTP API: `sigv4` takes signed requests only, of keys that `sluice keys create` makes. Default: `off` in the lab, `sigv4` in `start`.',
    }),
  ),
  SLUICE_CREDENTIALS_FILE: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'File of the access keys, mode 600; a change is taken in while the engine runs. Default: `credentials.json` in `SLUICE_DATA_DIR`.',
    }),
  ),
  SLUICE_METRICS_TOKEN: Type.Optional(
    Type.String({
      pattern: '^[!-~]{16,256}$',
      description:
        'With `sigv4`, `GET /v1/metrics` is also answered to `Authorization: Bearer <token>`: 16 to 256 printable characters without blanks.',
    }),
  ),
  SLUICE_INSECURE: Type.Union([Type.Literal('1'), Type.Literal('0')], {
    default: '0',
    description:
      '`1` allows what authenticates nobody to listen off loopback: the local Kinesis, the HTTP API with `SLUICE_AUTH=off`, and MQTT, which then lets anonymous clients in unless `SLUICE_MQTT_ANONYMOUS=off`.',
  }),
  SLUICE_MQTT_UNANSWERED_MAX: Type.Integer({
    minimum: 1,
    maximum: 65_535,
    default: 64,
    description:
      'Messages of one MQTT client that are handled at a time; the next ones wait in its connection.',
  }),
  SLUICE_DRAIN_MS: Type.Integer({
    minimum: 0,
    maximum: 600_000,
    default: 8_000,
    description:
      'How long a stop (SIGTERM) waits for messages without an answer, and for calls to Kinesis. What is left then stays on disk.',
  }),
  SLUICE_RULES_MAX: Type.Integer({
    minimum: 1,
    maximum: 100_000,
    default: 1_000,
    description: 'Rules that the store takes.',
  }),
  SLUICE_REGEX: Type.Union(
    regexModes.map((mode) => Type.Literal(mode)),
    {
      default: 'linear',
      description:
        '`linear`: regular expressions take time in proportion to the text. `backtracking` also runs look-around, backreferences, possessive quantifiers and atomic groups. The risk is yours: such a pattern may take exponential time on a payload made for it, and the whole engine stands still meanwhile. Patterns that need none of these stay linear.',
    },
  ),
  SLUICE_DELIVERY_ORDERING: Type.Union(
    deliveryLimits.orderings.map((ordering) => Type.Literal(ordering)),
    {
      default: 'key',
      description:
        'Order of the records of a partition key: `key` (kept, but within one partly failed call), `strict` (kept always, one record of a key in a call) or `none`. This and the other `SLUICE_DELIVERY_*` are what holds where a rule has no delivery setting of its own.',
    },
  ),
  SLUICE_DELIVERY_BATCH_COUNT: Type.Integer({
    ...deliveryLimits.count,
    default: 500,
    description: 'Records in one call to Kinesis at most.',
  }),
  SLUICE_DELIVERY_BATCH_BYTES: Type.Integer({
    ...deliveryLimits.bytes,
    default: 5_242_880,
    description: 'Bytes in one call to Kinesis at most, partition keys included.',
  }),
  SLUICE_DELIVERY_BATCH_PERIOD_MS: Type.Integer({
    ...deliveryLimits.periodMs,
    default: 0,
    description: 'How long a call that is not full waits for more records.',
  }),
  SLUICE_DELIVERY_MAX_IN_FLIGHT: Type.Integer({
    ...deliveryLimits.maxInFlight,
    default: 16,
    description: 'Calls to one destination at a time.',
  }),
  SLUICE_DELIVERY_RETRY_MAX_AGE_MS: Type.Integer({
    ...deliveryLimits.maxAgeMs,
    default: 86_400_000,
    description:
      'How long a record waits for a missing stream or a refused role, before the error action or the dead letters get it.',
  }),
  SLUICE_ROLE_PROBE: Type.Optional(
    Type.Union([Type.Literal('on'), Type.Literal('off')], {
      description:
        'Whether the roles of a rule are assumed when it is created or replaced over HTTP, and the rule is refused when STS refuses. Default: `on` in `start`, `off` in the lab.',
    }),
  ),
  SLUICE_ERROR_ACTION_SCOPE: Type.Union([Type.Literal('all'), Type.Literal('actions')], {
    default: 'all',
    description:
      "What reaches a rule's error action: `all` failures, those of SQL and of templates too, or as on AWS those of `actions` alone.",
  }),
})

export type Variables = Static<typeof variables>
export type VariableName = keyof Variables
