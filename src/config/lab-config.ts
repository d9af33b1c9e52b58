import path from 'node:path'
import { SluiceError } from '../base/errors.ts'
import { isLoopback } from '../base/loopback.ts'
import { readVariables } from './variable.ts'
import type { Environment } from './variable.ts'
import { variables } from './variables.ts'
import type { VariableName, Variables } from './variables.ts'

export const labAccountId = '000000000000'
export const labRegion = 'us-east-1'

/** Settings of the local Kinesis and STS. */
export interface LabConfig {
  readonly host: string
  readonly port: number
  readonly limits: {
    readonly writes: boolean
    readonly reads: boolean
    readonly fanOut: boolean
  }
  /** Whether signatures are verified. */
  readonly isStrict: boolean
  /** Undefined: streams and records are in memory only. */
  readonly dataDir: string | undefined
  readonly storedBytesMax: number
  /** How long each passing status lasts; undefined: the lab's defaults. */
  readonly statusMs: number | undefined
}

const labVariables = [
  'SLUICE_LAB_HOST',
  'SLUICE_LAB_PORT',
  'SLUICE_LAB_LIMITS',
  'SLUICE_LAB_STRICT',
  'SLUICE_LAB_DATA',
  'SLUICE_LAB_MAX_BYTES',
  'SLUICE_LAB_STATUS_MS',
] as const satisfies readonly VariableName[]

export function labConfigOf(read: Pick<Variables, (typeof labVariables)[number]>): LabConfig {
  const limited = new Set(read.SLUICE_LAB_LIMITS.split(','))
  const isLimited = (name: string) => limited.has('on') || limited.has(name)
  return {
    host: read.SLUICE_LAB_HOST,
    port: read.SLUICE_LAB_PORT,
    limits: {
      writes: isLimited('writes'),
      reads: isLimited('reads'),
      fanOut: isLimited('fan-out'),
    },
    isStrict: read.SLUICE_LAB_STRICT === '1',
    dataDir: read.SLUICE_LAB_DATA && path.resolve(read.SLUICE_LAB_DATA),
    storedBytesMax: read.SLUICE_LAB_MAX_BYTES,
    statusMs: read.SLUICE_LAB_STATUS_MS,
  }
}

interface KinesisConfig {
  readonly lab: LabConfig
  readonly region: string
  readonly accountId: string
  readonly logLevel: Variables['SLUICE_LOG_LEVEL']
  readonly insecure: boolean
}

/**
 * The configuration of `sluice kinesis`. Variables of the engine are ignored, even unusable ones.
 *
 * @throws SluiceError ConfigInvalid
 */
export function loadKinesisConfig(environment: Environment): KinesisConfig {
  const read = readVariables(variables, environment, [
    ...labVariables,
    'AWS_REGION',
    'SLUICE_ACCOUNT_ID',
    'SLUICE_LOG_LEVEL',
    'SLUICE_INSECURE',
  ])
  const lab = labConfigOf(read)
  const insecure = read.SLUICE_INSECURE === '1'
  if (!insecure && !isLoopback(lab.host)) throw openListenerError('SLUICE_LAB_HOST', lab.host)
  return {
    lab,
    region: read.AWS_REGION ?? labRegion,
    accountId: read.SLUICE_ACCOUNT_ID ?? labAccountId,
    logLevel: read.SLUICE_LOG_LEVEL,
    insecure,
  }
}

/** The refusal of a non-loopback listener without authentication that nobody asked for. */
export function openListenerError(name: VariableName, host: string): SluiceError {
  return new SluiceError(
    'ConfigInvalid',
    `${name}=${host} is not a loopback address and its clients are not authenticated: ` +
      'set SLUICE_INSECURE=1 to listen there all the same',
  )
}
