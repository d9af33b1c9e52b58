import { accessSync, constants } from 'node:fs'
import path from 'node:path'

/** A block, or blocks, that not every test machine can run. */
export interface BlockMark {
  readonly document: string
  /** What stands in the block. */
  readonly has: string
  /** Why it is not run. */
  readonly reason: string
  /** Where this program is installed the block is run. Absent: it is never run. */
  readonly runsWith?: string | undefined
}

const firstSteps = { reason: '`npm run test:clients` runs the first steps with things' }
const awsCli = { reason: 'needs the AWS CLI', runsWith: 'aws' }

/** Every block that is not run everywhere. A block that fails and is not here fails the test. */
export const blockMarks: readonly BlockMark[] = [
  { document: 'README.md', has: 'iot create-topic-rule', ...awsCli },
  { document: 'README.md', has: 'create-event-source-mapping', ...awsCli },
  { document: 'README.md', has: 'npx sluice start', reason: 'needs an AWS account' },
  { document: 'docs/API.md', has: 'iot-data publish', ...awsCli },
  {
    document: 'docs/CLUSTER.md',
    has: 'sluice cluster',
    reason: 'needs NATS servers',
  },
  { document: 'docs/CONSUMERS.md', has: 'aws lambda invoke', ...awsCli },
  { document: 'docs/CONSUMERS.md', has: '| jq', reason: 'needs jq', runsWith: 'jq' },
  { document: 'docs/CONSUMERS.md', has: 'create-event-source-mapping', ...awsCli },
  { document: 'docs/DEVICES.md', has: 'SLUICE_TLS_CERT_FILE', ...firstSteps },
  { document: 'docs/DEVICES.md', has: 'aws iot create-thing', ...firstSteps },
  { document: 'docs/DEVICES.md', has: 'aws iot create-policy', ...firstSteps },
  { document: 'docs/DEVICES.md', has: 'aws iot create-topic-rule', ...firstSteps },
  { document: 'docs/DEVICES.md', has: 'aws iot update-certificate', ...firstSteps },
  { document: 'docs/LAB.md', has: 'aws kinesis', ...awsCli },
  { document: 'docs/LAB.md', has: 'aws sts', ...awsCli },
  { document: 'docs/SECURITY.md', has: '=...', reason: 'has values that the reader fills in' },
  { document: 'docs/SECURITY.md', has: 'openssl', reason: 'needs OpenSSL', runsWith: 'openssl' },
  {
    document: 'docs/SECURITY.md',
    has: 'mosquitto_pub',
    reason: 'needs the Mosquitto clients',
    runsWith: 'mosquitto_pub',
  },
]

/** What a document takes for granted: servers that run, and a record to read. */
export const presumed: Readonly<Record<string, readonly string[]>> = {
  'docs/API.md': ['sluice lab'],
  'docs/OPERATIONS.md': ['sluice lab'],
  'docs/DEVICES.md': ['sluice lab'],
  'docs/CONSUMERS.md': ['sluice lab', `sluice pub -t dt/7/telemetry -m '{"temp": 61.5}'`],
}

/** What commands show, of standard output and standard error. */
export const shown: readonly (readonly [command: RegExp, output: RegExp])[] = [
  [/npx sluice tail hot-devices/, /"temp":61\.5/],
  [/npx sluice tail alarms/, /shard/],
  [/npx sluice tail dev-readings/, /"device":"7"/],
  [/npx sluice tail --calls/, /dynamoDB(v2)? {1,2}PutItem/],
  [/npx sluice tail StreamAB12CD34/, /"device":"7"/],
  [/curl http.*\/rules/, /hot_devices/],
  [/list-topic-rules/, /hot_devices/],
  [/curl http.*\/shadow/, /"delta":\{"on":true\}/],
]

export function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
