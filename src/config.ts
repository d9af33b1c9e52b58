import { Type } from 'typebox'
import type { Static, TObject, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { isIP } from 'node:net'
import path from 'node:path'
import { deepFreeze } from './deep-freeze.ts'
import { SluiceError } from './errors.ts'
import { logLevels } from './telemetry.ts'

/**
 * One schema of environment variables -> one frozen Config. docs/CONFIG.md is generated from
 * `variables`, so what is described there is what is read here.
 */
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

/** Every variable that Sluice reads, with its default. Defaults that depend on the command: `labDefaults`. */
export const variables = Type.Object({
  SLUICE_MQTT_HOST: text('127.0.0.1', 'Address that the MQTT broker listens on.'),
  SLUICE_MQTT_PORT: port(1883, 'Port of the MQTT broker; 0 picks a free one.'),
  SLUICE_HTTP_HOST: text('127.0.0.1', 'Address that the HTTP API listens on.'),
  SLUICE_HTTP_PORT: port(8080, 'Port of the HTTP API; 0 picks a free one.'),
  SLUICE_LAB_HOST: text('127.0.0.1', 'Address that the local Kinesis and STS listen on.'),
  SLUICE_LAB_PORT: port(4567, 'Port of the local Kinesis and STS; 0 picks a free one.'),
  SLUICE_LAB_LIMITS: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on',
    description:
      'Limits of each shard of the local Kinesis, `on` as on AWS: 1000 records/s and 1 MiB/s written, 5 GetRecords/s and 2 MiB/s read. `off` for measuring and for `sluice simulate --rate max`.',
  }),
  SLUICE_RULES_DIR: text('./rules', 'Folder of the rules, one `<name>.json` each.'),
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
      '`1` allows what authenticates nobody to listen off loopback: MQTT, the local Kinesis, and the HTTP API with `SLUICE_AUTH=off`.',
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

type Variables = Static<typeof variables>
export type VariableName = keyof Variables

export interface Config {
  /** `lab` brings its own Kinesis; `start` uses AWS, or what `AWS_ENDPOINT_URL_*` names. */
  readonly mode: 'lab' | 'start'
  readonly mqtt: Listen & { readonly unansweredMax: number }
  readonly drainMs: number
  readonly http: Listen
  readonly auth: HttpAuthentication
  readonly lab: Listen & {
    readonly limits: { readonly writes: boolean; readonly reads: boolean }
  }
  readonly rulesDir: string
  readonly dataDir: string
  /** Stands in for S3 in the lab. */
  readonly protoDir: string | undefined
  /** Absent in `start` until STS was asked. */
  readonly accountId: string | undefined
  readonly region: string
  readonly logLevel: Variables['SLUICE_LOG_LEVEL']
  readonly insecure: boolean
  readonly rulesMax: number
  readonly outboxBytesMax: number
  readonly regex: Variables['SLUICE_REGEX']
  /** What holds where a rule has no delivery setting of its own. */
  readonly delivery: {
    readonly ordering: Variables['SLUICE_DELIVERY_ORDERING']
    readonly batching: { readonly count: number; readonly bytes: number; readonly periodMs: number }
    readonly maxInFlight: number
    readonly retry: { readonly maxAgeMs: number }
  }
  readonly errorActionScope: Variables['SLUICE_ERROR_ACTION_SCOPE']
  readonly roleProbe: boolean
}

/** How callers of the HTTP API are told from each other. */
export interface HttpAuthentication {
  readonly kind: 'off' | 'sigv4'
  readonly credentialsFile: string
  /** A secret. */
  readonly metricsToken: string | undefined
}

export interface Listen {
  readonly host: string
  readonly port: number
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads, checks and freezes the configuration.
 *
 * @param environment variables as in `process.env`; an empty value counts as not set
 * @throws SluiceError ConfigInvalid, naming the variable, its value and what it takes
 */
export function loadConfig(environment: Environment, mode: Config['mode']): Config {
  const read = readVariables(variables, environment)
  const region = read.AWS_REGION ?? regionDefault(environment, mode)
  const limited = read.SLUICE_LAB_LIMITS === 'on'
  const config: Config = {
    mode,
    mqtt: {
      host: read.SLUICE_MQTT_HOST,
      port: read.SLUICE_MQTT_PORT,
      unansweredMax: read.SLUICE_MQTT_UNANSWERED_MAX,
    },
    drainMs: read.SLUICE_DRAIN_MS,
    http: { host: read.SLUICE_HTTP_HOST, port: read.SLUICE_HTTP_PORT },
    auth: {
      kind: read.SLUICE_AUTH ?? (mode === 'start' ? 'sigv4' : 'off'),
      credentialsFile: credentialsFileOf(environment),
      metricsToken: read.SLUICE_METRICS_TOKEN,
    },
    lab: {
      host: read.SLUICE_LAB_HOST,
      port: read.SLUICE_LAB_PORT,
      limits: { writes: limited, reads: limited },
    },
    rulesDir: path.resolve(read.SLUICE_RULES_DIR),
    dataDir: path.resolve(read.SLUICE_DATA_DIR),
    protoDir: read.SLUICE_PROTO_DIR && path.resolve(read.SLUICE_PROTO_DIR),
    accountId: read.SLUICE_ACCOUNT_ID ?? (mode === 'lab' ? labAccountId : undefined),
    region,
    logLevel: read.SLUICE_LOG_LEVEL,
    insecure: read.SLUICE_INSECURE === '1',
    rulesMax: read.SLUICE_RULES_MAX,
    outboxBytesMax: read.SLUICE_OUTBOX_MAX_BYTES,
    regex: read.SLUICE_REGEX,
    delivery: {
      ordering: read.SLUICE_DELIVERY_ORDERING,
      batching: {
        count: read.SLUICE_DELIVERY_BATCH_COUNT,
        bytes: read.SLUICE_DELIVERY_BATCH_BYTES,
        periodMs: read.SLUICE_DELIVERY_BATCH_PERIOD_MS,
      },
      maxInFlight: read.SLUICE_DELIVERY_MAX_IN_FLIGHT,
      retry: { maxAgeMs: read.SLUICE_DELIVERY_RETRY_MAX_AGE_MS },
    },
    errorActionScope: read.SLUICE_ERROR_ACTION_SCOPE,
    roleProbe: (read.SLUICE_ROLE_PROBE ?? (mode === 'start' ? 'on' : 'off')) === 'on',
  }
  refuseOpenListeners(config)
  return deepFreeze(config)
}

const credentialsFileVariables = Type.Pick(variables, [
  'SLUICE_CREDENTIALS_FILE',
  'SLUICE_DATA_DIR',
])
export const credentialsFileName = 'credentials.json'

/**
 * The file of the access keys: also for who makes a key and has no use for the rest.
 *
 * @throws SluiceError ConfigInvalid
 */
export function credentialsFileOf(environment: Environment): string {
  const read = readVariables(credentialsFileVariables, environment)
  return path.resolve(
    read.SLUICE_CREDENTIALS_FILE ?? path.join(read.SLUICE_DATA_DIR, credentialsFileName),
  )
}

export const labAccountId = '000000000000'
const labRegion = 'us-east-1'

function regionDefault(environment: Environment, mode: Config['mode']): string {
  if (mode === 'lab') return labRegion
  const fallback = environment['AWS_DEFAULT_REGION']
  if (fallback) return fallback
  throw new SluiceError(
    'ConfigInvalid',
    'AWS_REGION is not set: `sluice start` needs the region of the streams, e.g. AWS_REGION=eu-central-1',
  )
}

function readVariables<Schema extends TObject>(
  schema: Schema,
  environment: Environment,
): Static<Schema> {
  const given = Object.fromEntries(
    Object.keys(schema.properties).flatMap((name) => {
      const value = environment[name]
      return value === undefined || value === '' ? [] : [[name, value]]
    }),
  )
  const value = Value.Convert(schema, Value.Default(schema, given))
  const [error] = Value.Errors(schema, value)
  if (error) {
    const name = error.instancePath.slice(1)
    const property: TSchema | undefined = schema.properties[name]
    throw new SluiceError(
      'ConfigInvalid',
      `${name}=${shown(name, given[name])} is not usable: it ${error.message}. ${describe(property)}`,
    )
  }
  return value as Static<Schema>
}

const secretVariables: ReadonlySet<string> = new Set<VariableName>(['SLUICE_METRICS_TOKEN'])

function shown(name: string, value = ''): string {
  return secretVariables.has(name) ? '(not shown)' : value
}

function describe(property: TSchema | undefined): string {
  return property && 'description' in property ? String(property.description) : ''
}

/** Without authentication only this machine may reach the ports, unless the operator says otherwise. */
function refuseOpenListeners(config: Config): void {
  const [open] = openListeners(config)
  if (config.insecure || open === undefined) return
  throw new SluiceError(
    'ConfigInvalid',
    `${open.name}=${open.host} is not a loopback address and nothing is authenticated: ` +
      'set SLUICE_INSECURE=1 to listen there all the same',
  )
}

/** What other machines may reach although it authenticates nobody, by the variable of its address. */
export function openListeners(
  config: Config,
): readonly { readonly name: VariableName; readonly host: string }[] {
  const listeners: readonly (readonly [VariableName, Listen, boolean])[] = [
    ['SLUICE_MQTT_HOST', config.mqtt, true],
    ['SLUICE_HTTP_HOST', config.http, config.auth.kind === 'off'],
    ['SLUICE_LAB_HOST', config.lab, config.mode === 'lab'],
  ]
  return listeners.flatMap(([name, { host }, isOpen]) =>
    isOpen && !isLoopback(host) ? [{ name, host }] : [],
  )
}

/** True for `localhost`, 127.0.0.0/8 and ::1. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}
