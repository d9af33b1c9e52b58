import { Writable } from 'node:stream'
import { pino } from 'pino'
import type { Logger as PinoLogger, LoggerOptions } from 'pino'
import { systemClock } from '../base/clock.ts'
import { printableJson } from './printable.ts'
import type { Variables } from '../config/variables.ts'

/** Writes lines of JSON with secrets redacted. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'child'>

export type LogLevel = Variables['SLUICE_LOG_LEVEL']

/** The level of a logger and of those that it made, which can be changed while they are in use. */
export interface LogLevels {
  current(): LogLevel
  set(level: LogLevel): void
}

export interface AdjustableLogger extends Logger {
  readonly logLevels: LogLevels
}

/** Members that are redacted when they are logged by mistake, down to the third level. */
const secretMembers = [
  'authorization',
  'Authorization',
  '["x-amz-security-token"]',
  'cookie',
  'accessKeys',
  'metricsToken',
  'password',
  'secretAccessKey',
  'sessionToken',
]

/** The settings of all loggers. */
const settingsOfAll: LoggerOptions = {
  base: null,
  formatters: { level: (label) => ({ level: label }) },
  redact: {
    censor: '[redacted]',
    paths: ['', '*', '*.*', '*.*.*'].flatMap((place) =>
      secretMembers.map((member) =>
        place === '' || member.startsWith('[') ? `${place}${member}` : `${place}.${member}`,
      ),
    ),
  },
}

/** What operators do not want to see in the log. */
interface LogRedaction {
  /** Whether the value of a member is not written. */
  readonly hides: (name: string) => boolean
  /** A text with what must not be seen replaced. */
  readonly line: (text: string) => string
}

interface LoggerSettings {
  readonly pretty: boolean
  /** Absent: everything is written except secrets of Sluice itself. */
  readonly redaction?: LogRedaction | undefined
}

/** Makes a logger with JSON lines, or with readable lines for a terminal. */
export async function createLogger(
  level: LogLevel,
  { pretty: isPretty, redaction }: LoggerSettings,
): Promise<AdjustableLogger> {
  // A child has a level of its own. They are made at the start, and are few.
  const all: PinoLogger[] = []
  const logger = await createPino(isPretty, {
    ...settingsOfAll,
    ...(redaction && settingsWith(redaction)),
    level,
    onChild: (child) => void all.push(child),
    timestamp: () => `,"time":"${new Date(systemClock.wallMs()).toISOString()}"`,
  })
  all.push(logger)
  return Object.assign(logger, {
    logLevels: {
      current: () => logger.level as LogLevel,
      set(next: LogLevel) {
        for (const one of all) one.level = next
      },
    },
  })
}

async function createPino(isPretty: boolean, settings: LoggerOptions): Promise<PinoLogger> {
  if (!isPretty) return pino(settings)
  // Loaded only for a terminal, so that a service that logs JSON does not pay for it.
  const { default: pretty } = await import('pino-pretty')
  const stream = pretty({ colorize: true, translateTime: 'HH:MM:ss.l', sync: true })
  // What clients, files and functions say must not write into the terminal.
  return pino(settings, { write: (line: string) => void stream.write(printableJson(line)) })
}

/** Settings of a logger that redacts messages, fields at any depth, and errors. */
function settingsWith({ hides, line }: LogRedaction): LoggerOptions {
  const fieldsOf = (fields: object): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [
        name,
        hides(name) ? '[redacted]' : shown(value, name),
      ]),
    )
  const shown = (value: unknown, name: string): unknown => {
    if (typeof value === 'string') return line(value)
    if (Array.isArray(value)) return value.map((item) => shown(item, name))
    // Serializers make errors plain.
    const isPlain = typeof value === 'object' && value !== null && !(value instanceof Error)
    return isPlain ? fieldsOf(value) : value
  }
  return {
    formatters: { ...settingsOfAll.formatters, log: fieldsOf },
    serializers: { err: (thrown: Error) => fieldsOf({ ...pino.stdSerializers.err(thrown) }) },
    hooks: {
      logMethod(given, method) {
        const parts = given.map((part: unknown) => (typeof part === 'string' ? line(part) : part))
        method.apply(this, parts as typeof given)
      },
    },
  }
}

/** A logger that passes each parsed line to `onLine`, for tests and `sluice evaluate`. */
export function createMemoryLogger(
  onLine: (line: Record<string, unknown>) => void,
  redaction?: LogRedaction,
): Logger {
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      onLine(JSON.parse(chunk.toString()) as Record<string, unknown>)
      done()
    },
  })
  return pino(
    { ...settingsOfAll, ...(redaction && settingsWith(redaction)), level: 'debug' },
    stream,
  )
}
