import { Writable } from 'node:stream'
import { pino } from 'pino'
import type { Logger as PinoLogger, LoggerOptions } from 'pino'
import { systemClock } from '../base/clock.ts'
import { printableJson } from './printable.ts'
import type { Variables } from '../config/variables.ts'

/** Writes lines of JSON with secrets redacted. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'child'>

export type LogLevel = Variables['SLUICE_LOG_LEVEL']

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

/** Makes a logger with JSON lines, or with readable lines for a terminal. */
export async function createLogger(level: LogLevel, options: { pretty: boolean }): Promise<Logger> {
  const settings: LoggerOptions = {
    ...settingsOfAll,
    level,
    timestamp: () => `,"time":"${new Date(systemClock.wallMs()).toISOString()}"`,
  }
  if (!options.pretty) return pino(settings)
  // Loaded only for a terminal, so that a service that logs JSON does not pay for it.
  const { default: pretty } = await import('pino-pretty')
  const stream = pretty({ colorize: true, translateTime: 'HH:MM:ss.l', sync: true })
  // What clients, files and functions say must not write into the terminal.
  return pino(settings, { write: (line: string) => void stream.write(printableJson(line)) })
}

/** A logger that passes each parsed line to `onLine`, for tests and `sluice evaluate`. */
export function createMemoryLogger(onLine: (line: Record<string, unknown>) => void): Logger {
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      onLine(JSON.parse(chunk.toString()) as Record<string, unknown>)
      done()
    },
  })
  return pino({ ...settingsOfAll, level: 'debug' }, stream)
}
