import { Writable } from 'node:stream'
import { pino } from 'pino'
import type { Logger as PinoLogger, LoggerOptions } from 'pino'
import { systemClock } from '../base/clock.ts'
import type { Variables } from '../config/variables.ts'

/** Lines of JSON, without what must not be logged. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error' | 'child'>

export type LogLevel = Variables['SLUICE_LOG_LEVEL']

/** Whatever is logged by mistake: these members, wherever they stand down to the third level. */
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

/** What all loggers have in common. */
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

/** JSON lines, or readable lines where a person watches. */
export async function createLogger(level: LogLevel, options: { pretty: boolean }): Promise<Logger> {
  const settings: LoggerOptions = {
    ...settingsOfAll,
    level,
    timestamp: () => `,"time":"${new Date(systemClock.wallMs()).toISOString()}"`,
  }
  if (!options.pretty) return pino(settings)
  // Loaded only where a person watches: a service that logs JSON does not pay for it.
  const { default: pretty } = await import('pino-pretty')
  const stream = pretty({ colorize: true, translateTime: 'HH:MM:ss.l', sync: true })
  return pino(settings, stream)
}

/** A logger that hands each line, parsed, to `onLine`: for tests and for `sluice evaluate`. */
export function createMemoryLogger(onLine: (line: Record<string, unknown>) => void): Logger {
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      onLine(JSON.parse(chunk.toString()) as Record<string, unknown>)
      done()
    },
  })
  return pino({ ...settingsOfAll, level: 'debug' }, stream)
}
