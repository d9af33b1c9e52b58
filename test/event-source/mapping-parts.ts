import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { onTestFinished } from 'vitest'
import { createEventSourceMappings } from '../../src/event-source/event-source-mappings.ts'
import type {
  EventSourceMappings,
  EventSourceMappingsDependencies,
  EventSourceMappingsOptions,
} from '../../src/event-source/event-source-mappings.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import type { Metrics } from '../../src/telemetry/telemetry.ts'
import { access, hastyClock, temporaryFolder } from '../consumers/consumer-parts.ts'

export const streamArn = (name: string) => `arn:aws:kinesis:us-east-1:000000000000:stream/${name}`

export interface SentEvent {
  readonly Records: readonly {
    readonly kinesis: {
      readonly partitionKey: string
      readonly sequenceNumber: string
      readonly data: string
    }
    readonly eventID: string
  }[]
  readonly [member: string]: unknown
}

export interface StartedMappings {
  readonly mappings: EventSourceMappings
  readonly metrics: Metrics
  readonly dataDir: string
  readonly functionsDir: string
  readonly logLines: readonly Record<string, unknown>[]
  /** The events that functions have printed after `EVENT `. */
  events(): SentEvent[]
  /** The data of all records in them. */
  texts(): string[]
  /** Resolves when `holds`; looked at whenever something is logged. */
  until(holds: () => boolean): Promise<void>
  /** What was given up. */
  failures(uuid: string): Record<string, unknown>[]
  create(body: object): Promise<string>
  stop(): Promise<void>
}

/** Prints what it gets, and does what `rest` says. */
export const printing = (rest = '') => `
  const textOf = (record) => Buffer.from(record.kinesis.data, 'base64').toString()
  export const handler = async (event, context) => {
    console.log('EVENT ' + JSON.stringify(event))
    ${rest}
  }
`

/** Mappings with functions (name and text), on a folder of their own or on an existing one. */
export async function startMappings(
  lab: { readonly port: number },
  functions: Readonly<Record<string, string>>,
  options: Partial<EventSourceMappingsOptions & EventSourceMappingsDependencies> = {},
): Promise<StartedMappings> {
  const dataDir = options.dataDir ?? temporaryFolder()
  const functionsDir = options.functionsDir ?? path.join(dataDir, 'functions')
  mkdirSync(functionsDir, { recursive: true })
  for (const [name, text] of Object.entries(functions)) {
    writeFileSync(path.join(functionsDir, name), text)
  }
  const logLines: Record<string, unknown>[] = []
  const waiting = new Set<() => void>()
  const metrics = createMetrics()
  const logger = createMemoryLogger((line) => {
    logLines.push(line)
    for (const look of waiting) look()
  })
  const mappings = await createEventSourceMappings(
    {
      clock: options.clock ?? hastyClock,
      logger,
      metrics,
      runMapping: options.runMapping,
      hidesReasons: options.hidesReasons,
      openMappings: options.openMappings,
      ...(options.makeStream && { makeStream: options.makeStream }),
    },
    {
      dataDir,
      functionsDir,
      region: 'us-east-1',
      accountId: '000000000000',
      kinesis: access(lab),
      invokesAws: false,
      ...options,
    },
  )
  mappings.start()
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= mappings.stop({ drainMs: 500 }))
  onTestFinished(stop)

  const events = () =>
    logLines.flatMap(({ msg }) => {
      const [, json] = /^EVENT (.*)$/.exec(String(msg)) ?? []
      return json === undefined ? [] : [JSON.parse(json) as SentEvent]
    })
  return {
    mappings,
    metrics,
    dataDir,
    functionsDir,
    logLines,
    events,
    texts: () => events().flatMap(textsOf),
    until: (holds) =>
      new Promise((resolve) => {
        const look = () => {
          if (!holds()) return
          clearInterval(timer)
          waiting.delete(look)
          resolve()
        }
        // Not everything that a test waits for is logged.
        const timer = setInterval(look, 20)
        waiting.add(look)
        look()
      }),
    failures(uuid) {
      const file = path.join(dataDir, 'event-source', 'failures', `${uuid}.ndjson`)
      if (!existsSync(file)) return []
      return readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    },
    async create(body) {
      const created = await mappings.create({
        EventSourceArn: streamArn('s'),
        FunctionName: 'f',
        StartingPosition: 'TRIM_HORIZON',
        ...body,
      })
      return String(created['UUID'])
    },
    stop,
  }
}

export const textsOf = ({ Records }: SentEvent) =>
  Records.map(({ kinesis }) => Buffer.from(kinesis.data, 'base64').toString())
