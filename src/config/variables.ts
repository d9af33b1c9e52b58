import { deepFreeze } from '../base/deep-freeze.ts'
import { actionVariables } from './action-variables.ts'
import { clusterVariables } from './cluster-variables.ts'
import { mqttVariables } from './mqtt-variables.ts'
import { traceVariables } from './trace-variables.ts'
import { upstreamVariables } from './upstream-variables.ts'
import type { ValuesOf, VariableTable } from './variable.ts'

/** The values that delivery settings accept, here and beside a rule. */
export const deliveryLimits = Object.freeze({
  orderings: ['key', 'strict', 'none'] as const,
  /** PutRecords of Kinesis takes 500 records and 10 MiB in one call. */
  count: { minimum: 1, maximum: 500 },
  bytes: { minimum: 1, maximum: 10_485_760 },
  periodMs: { minimum: 0, maximum: 60_000 },
  maxInFlight: { minimum: 1, maximum: 256 },
  maxAgeMs: { minimum: 0, maximum: 2_592_000_000 },
})

const ports = { minimum: 0, maximum: 65_535 }
const onOrOff = ['on', 'off'] as const
const oneOrZero = ['1', '0'] as const
const regionForm = {
  kind: 'pattern',
  pattern: /^[a-z]{2}(-[a-z]+)+-\d$/,
  form: 'the name of a region, such as eu-central-1',
} as const

/**
 * Every variable that Sluice reads. A description is one sentence, because `--help` prints it; what
 * more there is to say stands in docs/CONFIG.md, whose table is generated from here.
 */
export const variables = deepFreeze({
  SLUICE_MQTT_HOST: {
    kind: 'text',
    default: '127.0.0.1',
    description: 'Bind address of the MQTT broker.',
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
      'Port of MQTT over TLS, which opens when `SLUICE_TLS_CERT_FILE` is set; 0 picks a free one.',
  },
  SLUICE_MQTTS_HOST: {
    kind: 'text',
    whenUnset: 'the value of `SLUICE_MQTT_HOST`',
    description: 'Bind address of MQTT over TLS, so that plain MQTT can stay on loopback.',
  },
  SLUICE_TLS_CERT_FILE: {
    kind: 'text',
    whenUnset: 'no TLS',
    description:
      'PEM file with the certificate chain of the server, for MQTT over TLS and for HTTPS.',
  },
  SLUICE_TLS_KEY_FILE: {
    kind: 'text',
    whenUnset: 'no TLS',
    description: 'PEM file with the unencrypted private key of the server certificate, mode 600.',
  },
  SLUICE_TLS_CA_FILE: {
    kind: 'text',
    whenUnset: 'clients are not asked for a certificate',
    description: 'PEM file with the CAs that may issue client certificates.',
  },
  SLUICE_TLS_CA_KEY_FILE: {
    kind: 'text',
    whenUnset: 'in the lab `ca-key.pem` for `ca.pem`; `start` issues no certificates',
    description:
      'PEM file with the unencrypted private key of a CA in `SLUICE_TLS_CA_FILE`, mode 600.',
  },
  SLUICE_MQTT_ANONYMOUS: {
    kind: 'choice',
    choices: onOrOff,
    whenUnset: '`on` for listeners on loopback and with `SLUICE_INSECURE=1`, else `off`',
    description: 'Whether MQTT clients may connect without certificate, user name or signed URL.',
  },
  SLUICE_PASSWORD_FILE: {
    kind: 'text',
    whenUnset: 'there are no users',
    description: 'File with the MQTT users, written by `sluice passwd`, mode 600.',
  },
  SLUICE_LOGIN_KEY_FILE: {
    kind: 'text',
    whenUnset: 'after a restart each user is checked by scrypt once',
    description:
      'File with a secret, mode 600, not in the data folder: logins are known beyond a restart by it.',
  },
  SLUICE_POLICIES_DIR: {
    kind: 'text',
    default: './policies',
    description:
      'Folder with the MQTT policies; while it does not exist, every admitted client may do everything.',
  },
  ...mqttVariables,
  ...upstreamVariables,
  SLUICE_HTTP_HOST: {
    kind: 'text',
    default: '127.0.0.1',
    description: 'Bind address of the HTTP API.',
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
    whenUnset: '`on` when `SLUICE_TLS_CERT_FILE` is set, else `off`',
    description: 'Whether the HTTP API is served over TLS, with the certificate of MQTT over TLS.',
  },
  SLUICE_HTTP_CALL_RATE: {
    kind: 'integer',
    range: { minimum: 0, maximum: 1_000_000 },
    default: 0,
    description: 'Calls a second that one caller of the HTTP API may make; 0 is no limit.',
  },
  SLUICE_TRUSTED_PROXIES: {
    kind: 'text',
    whenUnset: 'none',
    description:
      'IP addresses and CIDR blocks of proxies, separated by commas, that may name the address of their client.',
  },
  SLUICE_LAB_HOST: {
    kind: 'text',
    default: '127.0.0.1',
    description: 'Bind address of the local Kinesis and STS.',
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
      'Shard limits that the local Kinesis applies: `on` as on AWS, `off`, or some of them.',
  },
  SLUICE_LAB_STRICT: {
    kind: 'choice',
    choices: oneOrZero,
    default: '0',
    description: '`1` makes the local Kinesis and STS verify the signature of each call.',
  },
  SLUICE_LAB_DATA: {
    kind: 'text',
    whenUnset: 'they are kept in memory only',
    description: 'Folder in which the local Kinesis keeps streams and records across restarts.',
  },
  SLUICE_LAB_MAX_BYTES: {
    kind: 'integer',
    range: { minimum: 1_048_576, maximum: 68_719_476_736 },
    default: 536_870_912,
    description:
      'Memory for the records of all local streams; beyond it the oldest records are dropped with a warning.',
  },
  SLUICE_LAB_STATUS_MS: {
    kind: 'integer',
    range: { minimum: 0, maximum: 600_000 },
    whenUnset: 'streams are created and deleted at once, other changes take 50 ms',
    description: 'How long local streams and consumers stay CREATING, UPDATING and DELETING.',
  },
  ...actionVariables,
  SLUICE_RULES_DIR: {
    kind: 'text',
    default: './rules',
    description: 'Folder with the rules, one `<name>.json` each.',
  },
  SLUICE_FUNCTIONS_DIR: {
    kind: 'text',
    default: './functions',
    description: 'Folder with the functions that mappings and, in the lab, rules invoke.',
  },
  SLUICE_SAMPLE_MAPPING: {
    kind: 'choice',
    choices: onOrOff,
    whenUnset: '`on` in the lab; `start` never makes a sample',
    description: 'Whether a new data folder of the lab starts with a sample event source mapping.',
  },
  SLUICE_DATA_DIR: {
    kind: 'text',
    whenUnset: '`./lab-data` in the lab, `./data` in `start`',
    description: 'Folder of the outbox and of other state, used by one process at a time.',
  },
  SLUICE_PROTO_DIR: {
    kind: 'text',
    whenUnset: '`decode` finds no descriptor',
    description:
      "Folder of protobuf descriptors that replaces S3 for `decode(x, 'proto', ...)` in the lab.",
  },
  SLUICE_OUTBOX_MAX_BYTES: {
    kind: 'integer',
    range: { minimum: 1_048_576, maximum: 1_099_511_627_776 },
    default: 1_073_741_824,
    description:
      'Bytes that undelivered records may take on disk; one stream may take a quarter of it.',
  },
  SLUICE_ACCOUNT_ID: {
    kind: 'pattern',
    pattern: /^\d{12}$/,
    form: '12 digits',
    whenUnset: '`000000000000` in the lab, the account that STS names in `start`',
    description: 'AWS account in ARNs, in policies and in `accountid()`.',
  },
  AWS_REGION: {
    ...regionForm,
    whenUnset:
      '`us-east-1` in the lab, `AWS_DEFAULT_REGION` in `start`, where one of the two is required',
    description: 'AWS region of the streams, also in ARNs.',
  },
  AWS_DEFAULT_REGION: {
    ...regionForm,
    whenUnset: 'there is no other region',
    description: 'AWS region of `sluice start` where `AWS_REGION` is not set.',
  },
  SLUICE_LOG_LEVEL: {
    kind: 'choice',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    description: 'Lowest level that is logged: `debug`, `info`, `warn`, `error` or `silent`.',
  },
  ...traceVariables,
  ...clusterVariables,
  SLUICE_AUTH: {
    kind: 'choice',
    choices: ['off', 'sigv4'],
    whenUnset: '`off` in the lab, `sigv4` in `start`',
    description: 'Authentication of the HTTP API: `sigv4` accepts signed requests only.',
  },
  SLUICE_CREDENTIALS_FILE: {
    kind: 'text',
    whenUnset: '`credentials.json` in `SLUICE_DATA_DIR`',
    description: 'File with the access keys, written by `sluice keys`, mode 600.',
  },
  SLUICE_METRICS_TOKEN: {
    kind: 'pattern',
    pattern: /^[!-~]{16,256}$/,
    form: '16 to 256 printable characters without blanks',
    isSecret: true,
    whenUnset: 'no token',
    description: 'Bearer token that also opens `GET /v1/metrics` when requests must be signed.',
  },
  SLUICE_INSECURE: {
    kind: 'choice',
    choices: oneOrZero,
    default: '0',
    description: '`1` allows listeners without authentication on non-loopback addresses.',
  },
  SLUICE_MQTT_UNANSWERED_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 65_535 },
    default: 64,
    description:
      'Messages of one MQTT client that are handled at a time; later ones wait in its connection.',
  },
  SLUICE_DRAIN_MS: {
    kind: 'integer',
    range: { minimum: 0, maximum: 600_000 },
    default: 8_000,
    description:
      'How long a graceful shutdown (SIGTERM) waits for unanswered messages and for calls to Kinesis.',
  },
  SLUICE_RULES_MAX: {
    kind: 'integer',
    range: { minimum: 1, maximum: 100_000 },
    default: 1_000,
    description: 'Rules that the engine accepts.',
  },
  SLUICE_SQL_2015: {
    kind: 'choice',
    choices: ['same', 'aws'],
    default: 'same',
    description:
      '`aws`: rules of SQL version 2015-10-08 drop arrays in objects and flatten objects, as one test of AWS found.',
  },
  SLUICE_REGEX: {
    kind: 'choice',
    choices: ['linear', 'backtracking'],
    default: 'linear',
    description:
      '`linear` bounds the time of a regular expression; `backtracking` supports more syntax without a bound.',
  },
  SLUICE_DELIVERY_ORDERING: {
    kind: 'choice',
    choices: deliveryLimits.orderings,
    default: 'key',
    description: 'Order of the records of one partition key: `key`, `strict` or `none`.',
  },
  SLUICE_DELIVERY_BATCH_COUNT: {
    kind: 'integer',
    range: deliveryLimits.count,
    default: 500,
    description: 'Records in one call to Kinesis.',
  },
  SLUICE_DELIVERY_BATCH_BYTES: {
    kind: 'integer',
    range: deliveryLimits.bytes,
    default: 5_242_880,
    description: 'Bytes in one call to Kinesis, partition keys included.',
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
      'How long a record waits for a missing stream or a refused role before it is given up.',
  },
  SLUICE_REDACT: {
    kind: 'text',
    whenUnset: 'everything is shown',
    description:
      'Names of members, separated by commas, whose values are not shown in events, logs, dead letters and recorded calls.',
  },
  SLUICE_ROLE_PROBE: {
    kind: 'choice',
    choices: onOrOff,
    whenUnset: '`on` in `start`, `off` in the lab',
    description:
      'Whether creating or replacing a rule over HTTP requires that its roles can be assumed.',
  },
  SLUICE_ERROR_ACTION_SCOPE: {
    kind: 'choice',
    choices: ['all', 'actions'],
    default: 'all',
    description:
      "Failures that reach a rule's error action: `all`, or only those of `actions`, as on AWS.",
  },
} as const satisfies VariableTable)

export type Variables = ValuesOf<typeof variables>
export type VariableName = keyof Variables
