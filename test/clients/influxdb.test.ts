import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { array, assert, asyncProperty, constantFrom, oneof, pre, string } from 'fast-check'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createAwsCalls } from '../../src/aws/aws-calls.ts'
import { systemClock } from '../../src/base/clock.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { apply, definitionOf } from '../actions/kinds/service-action-fixtures.ts'
import {
  destinationAt,
  openRecordingService,
  outcomesOf,
  queuedRecordsOf,
} from '../aws/senders/recording-service.ts'

/** What the influxDB action writes is what a real InfluxDB 2 gives back. */

const program = process.env['INFLUXD']
const why = program ? '' : ' (INFLUXD names no program: scripts/build-influxd.sh builds one)'
const bucket = 'plant & two'
const token = 'T1=='
let endpoint = ''
let stop = (): Promise<void> => Promise.resolve()

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function startInfluxdb(command: string): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-influxd-'))
  const address = `127.0.0.1:${await freePort()}`
  const options = {
    'bolt-path': path.join(folder, 'bolt'),
    'engine-path': path.join(folder, 'engine'),
    'http-bind-address': address,
    'log-level': 'error',
    'reporting-disabled': 'true',
  }
  const words = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
  const server = spawn(command, words, { cwd: folder, stdio: 'ignore' })
  const ended = once(server, 'exit')
  stop = async () => {
    server.kill()
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  endpoint = `http://${address}`
  await vi.waitFor(async () => expect((await fetch(`${endpoint}/health`)).status).toBe(200), {
    timeout: 60_000,
  })
  const user = { username: 'u', password: 'password', org: 'acme', bucket, token }
  const made = await fetch(`${endpoint}/api/v2/setup`, {
    method: 'POST',
    body: JSON.stringify(user),
  })
  expect(made.status).toBe(201)
}

/** The points of a table, by their time in nanoseconds; numbers as they were sent. */
async function pointsOf(table: string): Promise<readonly Record<string, unknown>[]> {
  const name = table.replaceAll(/["\\]/g, String.raw`\$&`)
  const query = new URLSearchParams({
    db: bucket,
    q: `SELECT * FROM "${name}" GROUP BY *`,
    epoch: 'ns',
  })
  const answer = await fetch(`${endpoint}/query?${query.toString()}`, {
    headers: { authorization: `Token ${token}` },
  })
  const { results } = JSON.parse(
    (await answer.text()).replaceAll(/(?<=[[,])-?\d{16,}(?=[\],])/g, '"$&"'),
  ) as { readonly results: readonly { readonly series?: readonly Series[]; error?: string }[] }
  const [{ series = [], error } = {}] = results
  expect(error).toBeUndefined()
  return series.flatMap(({ columns, values, tags }) =>
    values.map((row) => ({
      ...withoutEmpty(tags ?? {}),
      ...withoutEmpty(Object.fromEntries(columns.map((column, at) => [column, row[at]]))),
    })),
  )
}

interface Series {
  readonly columns: readonly string[]
  readonly values: readonly (readonly unknown[])[]
  readonly tags?: Readonly<Record<string, unknown>>
}

const withoutEmpty = (row: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null && value !== ''))

const point = (time: number, v: unknown) => JSON.stringify({ v, timestamp: time })

const action = {
  destinationArn: 'arn:aws:iot:eu-west-1:123456789012:ruledestination/influxdb/1',
  databaseName: 'plant & two',
  organization: 'acme',
}

async function openSender(held = token) {
  const secrets = await openRecordingService(() => ({ body: { SecretString: held } }))
  process.env['AWS_ENDPOINT_URL_SECRETS_MANAGER'] = secrets.endpoint
  onTestFinished(() => void delete process.env['AWS_ENDPOINT_URL_SECRETS_MANAGER'])
  const configuration = { endpoint, influxDBVersion: 'V2', secretId: 'influx' } as const
  const aws = createAwsCalls(
    { clock: systemClock, logger: createMemoryLogger(() => undefined) },
    {
      stsEndpoint: secrets.endpoint,
      baseCredentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
      ruleHosts: ['127.0.0.1'],
      http: {
        poster: { post: () => Promise.reject(new Error('unused')) },
        disabledReason: () => undefined,
        influxdbOf: () => configuration,
        clock: systemClock,
      },
    },
  )
  onTestFinished(() => aws.close())
  const signal = new AbortController().signal
  return {
    probe: () => aws.probeInfluxdb('eu-west-1', configuration, signal),
    write: async (fields: object, ...outputs: readonly string[]) => {
      const definition = definitionOf('influxDB', { ...action, ...fields })
      const { records, made } = queuedRecordsOf(
        definition,
        outputs.map((output) => ({ output })),
      )
      const [first] = made
      if (first === undefined) throw new Error('the action made no record')
      return outcomesOf(await aws.senderFor(destinationAt(undefined, first)).send(records, signal))
    },
  }
}

describe.skipIf(!program)(`InfluxDB 2${why}`, () => {
  beforeAll(() => startInfluxdb(program ?? ''), 120_000)
  afterAll(() => stop())

  test('takes its token alone when a destination is checked', async () => {
    expect(await (await openSender()).probe()).toBeUndefined()
    expect(await (await openSender('other')).probe()).toMatch(/answered 401: .*unauthorized/)
  })

  test('stores the types as they are, in each unit of time', async () => {
    const { write } = await openSender()
    const output =
      '{"i":-9223372036854775808,"u":18446744073709551615,"d":1.50,"e":1e-7,"t":true,"f":false,' +
      '"s":"say \\"x\\" \\\\ \\n, = é","o":{"b":[1,2.0]},"n":null,"timestamp":1700000000}'
    const common = { i: '-9223372036854775808', u: '18446744073709551615', d: 1.5, e: 1e-7 }
    const texts = { s: 'say "x" \\ \n, = é', o: '{"b":[1,2.0]}' }
    for (const [unit, zeros] of [
      ['s', '000000000'],
      ['ms', '000000'],
      ['us', '000'],
      ['ns', ''],
    ]) {
      const fields = { tableName: `types of ${unit}`, timestampUnit: unit, tags: { 'a b': 'c,=d' } }
      expect(await write(fields, output)).toEqual(['ok'])
      const [{ time, ...stored } = {}] = await pointsOf(`types of ${unit}`)
      expect(String(time)).toBe(`1700000000${zeros}`)
      expect(stored).toEqual({ ...common, ...texts, t: true, f: false, 'a b': 'c,=d' })
    }
  })

  test('refuses a field of another type, and takes the records beside it', async () => {
    const { write } = await openSender()
    const fields = { tableName: 'conflicts' }
    expect(await write(fields, point(1, 1))).toEqual(['ok'])
    expect(
      await write(fields, point(2, 2), point(3, 'x'), `[${point(4, 4)},${point(5, 5)}]`),
    ).toEqual(['ok', 'record HTTP_422', 'ok'])
    const stored = await pointsOf('conflicts')
    expect(stored.map(({ v }) => v)).toEqual([1, 2, 4, 5])
  })

  test('names what is missing: the records wait', async () => {
    const { write } = await openSender()
    const output = '{"v":1,"timestamp":1}'
    const fields = { tableName: 'm' }
    for (const [members, code] of [
      [{ databaseName: 'none' }, 'HTTP_404'],
      [{ organization: 'none' }, 'HTTP_404'],
    ] as const) {
      expect(await write({ ...fields, ...members }, output)).toBe(`destination ${code}`)
    }
    expect(await (await openSender('other')).write(fields, output)).toBe('destination HTTP_401')
  })

  test('gives every name and text back that the action takes', { timeout: 300_000 }, async () => {
    const { write } = await openSender()
    const text = string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    const odd = array(constantFrom('a', ' ', ',', '=', '"', '\\', "'", '#', 'é', '\t'), {
      minLength: 1,
      maxLength: 6,
    }).map((parts) => parts.join(''))
    const word = oneof(text, odd)
    let tables = 0
    await assert(
      asyncProperty(word, word, word, word, word, async (table, tag, value, field, content) => {
        tables += 1
        const tableName = `t${tables}${table}`
        const fields = { tableName: '@{table}', tags: { [tag]: value } }
        const element = { table: tableName, [`f${field}`]: content, timestamp: tables }
        const output = JSON.stringify(element)
        const isTaken = apply(definitionOf('influxDB', { ...action, ...fields }), output).ok
        pre(isTaken)
        expect(await write(fields, output)).toEqual(['ok'])
        const [{ time, ...stored } = {}] = await pointsOf(tableName)
        expect(time).toBe(tables * 1_000_000)
        expect(stored).toEqual({ [tag]: value, [`f${field}`]: content })
      }),
      { numRuns: 150 },
    )
  })
})
