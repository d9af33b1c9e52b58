import { describe, expect, onTestFinished, test } from 'vitest'
import { createAwsCalls } from '../../../src/aws/aws-calls.ts'
import type { InfluxdbConfiguration } from '../../../src/aws/http/http-access.ts'
import type { Failure } from '../../../src/aws/call/failure-class.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { definitionOf } from '../../actions/kinds/service-action-fixtures.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import {
  destinationAt,
  openRecordingService,
  outcomesOf,
  queuedRecordsOf,
} from './recording-service.ts'
import type { SentRequest, ServiceAnswer } from './recording-service.ts'

/** What the influxDB action writes, and what the answers of InfluxDB mean. */

const configuration: InfluxdbConfiguration = {
  endpoint: 'https://influx.example.com:8086',
  influxDBVersion: 'V2',
  secretId: 'influx',
}
const v3: Partial<InfluxdbConfiguration> = { influxDBVersion: 'V3' }
const action = {
  destinationArn: 'arn:aws:iot:eu-west-1:123456789012:ruledestination/influxdb/1',
  roleArn: 'arn:aws:iam::123456789012:role/r',
  databaseName: 'plant one',
  organization: 'acme',
  tableName: 'm',
}
const pointAt = (time: number, value: unknown = 1) => JSON.stringify({ v: value, timestamp: time })
const taken: ServiceAnswer = { status: 204 }

interface Setting {
  /** Members of the destination. */
  readonly influxdb?: Partial<InfluxdbConfiguration>
  /** Members of the action. */
  readonly fields?: object
  /** What the secret holds, each time it is read. */
  readonly secrets?: readonly object[]
  /** What InfluxDB answers to a write or a probe. */
  readonly answer?: (request: SentRequest, number: number) => ServiceAnswer
  readonly disabledReason?: string
}

/** An InfluxDB and the Secrets Manager that holds its token. */
async function openInfluxdb({
  influxdb = {},
  fields = {},
  secrets = [{ SecretString: 'T1' }],
  answer = () => taken,
  disabledReason,
}: Setting) {
  const writes: SentRequest[] = []
  const reads: unknown[] = []
  const service = await openRecordingService((request) => {
    if (request.operation === 'GetSecretValue') {
      reads.push(request.parameters)
      const secret = secrets[Math.min(reads.length, secrets.length) - 1] ?? {}
      return 'status' in secret ? (secret as ServiceAnswer) : { body: secret }
    }
    writes.push(request)
    return answer(request, writes.length - 1)
  })
  process.env['AWS_ENDPOINT_URL_SECRETS_MANAGER'] = service.endpoint
  onTestFinished(() => void delete process.env['AWS_ENDPOINT_URL_SECRETS_MANAGER'])
  const clock = createManualClock(Date.now())
  const found = { ...configuration, ...influxdb }
  const aws = createAwsCalls(
    { clock, logger: createMemoryLogger(() => undefined) },
    {
      stsEndpoint: service.endpoint,
      baseCredentials: { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' },
      ruleHosts: ['127.0.0.1'],
      http: {
        poster: { post: () => Promise.reject(new Error('unused')) },
        disabledReason: () => undefined,
        influxdbOf: (arn) =>
          disabledReason === undefined && arn === action.destinationArn
            ? found
            : { disabledReason: disabledReason ?? `there is no ${arn}` },
        clock,
      },
    },
  )
  onTestFinished(() => aws.close())
  const definition = definitionOf('influxDB', { ...action, ...fields })

  async function write(...outputs: readonly string[]) {
    const messages = outputs.map((output) => ({ output }))
    const { records, made } = queuedRecordsOf(definition, messages)
    const [first] = made
    if (first === undefined) throw new Error('the action made no record')
    sender ??= aws.senderFor(destinationAt(service.endpoint, first))
    return sender.send(records, new AbortController().signal)
  }
  let sender: ReturnType<typeof aws.senderFor> | undefined
  const probe = () =>
    aws.probeInfluxdb(
      'eu-west-1',
      { ...found, endpoint: service.endpoint },
      new AbortController().signal,
    )
  return { write, probe, writes, reads, clock }
}

describe('a write', () => {
  test('to InfluxDB 2 has its token, its bucket and the points of all records', async () => {
    const { write, writes, reads } = await openInfluxdb({})
    const array = `[${pointAt(2)},${pointAt(3, 'a\nb')}]`
    expect(outcomesOf(await write(pointAt(1), array))).toEqual(['ok', 'ok'])
    const [sent, ...more] = writes
    expect(more).toEqual([])
    expect(sent?.line).toBe('POST /api/v2/write?org=acme&bucket=plant+one&precision=ms')
    expect(sent?.bytes.toString()).toBe('m v=1i 1\nm v=1i 2\nm v="a\nb" 3')
    expect(sent?.headers).toMatchObject({
      authorization: 'Token T1',
      'content-type': 'text/plain; charset=utf-8',
    })
    expect(reads).toEqual([{ SecretId: 'influx' }])
  })

  test.each([
    ['s', 'second'],
    [undefined, 'millisecond'],
    ['us', 'microsecond'],
    ['ns', 'nanosecond'],
  ])('to InfluxDB 3 with the unit %s has the precision %s', async (timestampUnit, precision) => {
    const fields = { organization: undefined, ...(timestampUnit && { timestampUnit }) }
    const { write, writes } = await openInfluxdb({ influxdb: v3, fields })
    expect(outcomesOf(await write(pointAt(1)))).toEqual(['ok'])
    expect(writes[0]?.line).toBe(
      `POST /api/v3/write_lp?db=plant+one&precision=${precision}&accept_partial=false`,
    )
    expect(writes[0]?.headers.authorization).toBe('Bearer T1')
  })

  test('to InfluxDB 2 needs an organization', async () => {
    const { write, writes } = await openInfluxdb({ fields: { organization: undefined } })
    expect(outcomesOf(await write(pointAt(1)))).toEqual(['record OrganizationMissing'])
    expect(writes).toEqual([])
  })

  test('has no more points and bytes than the action says', async () => {
    const batchConfig = { maxBatchSize: 3, maxBatchSizeBytes: 100 }
    const { write, writes } = await openInfluxdb({ fields: { batchConfig } })
    const two = `[${pointAt(1)},${pointAt(2)}]`
    await write(two, two, pointAt(3), pointAt(4, 'x'.repeat(90)), pointAt(5))
    const lines = writes.map(({ bytes }) => bytes.toString().split('\n').length)
    expect(lines.toSorted((one, other) => one - other)).toEqual([1, 1, 2, 3])
  })
})

describe('the token', () => {
  test.each<[string, Partial<InfluxdbConfiguration>, object, string]>([
    ['is the whole secret', {}, { SecretString: ' T=1 \n' }, 'Token T=1'],
    ['is a key of it', { secretKey: 'k' }, { SecretString: '{"k":"T2"}' }, 'Token T2'],
    [
      'is in bytes',
      { secretType: 'SecretBinary' },
      { SecretBinary: Buffer.from('T3').toString('base64') },
      'Token T3',
    ],
  ])('%s', async (_, influxdb, secret, expected) => {
    const { write, writes } = await openInfluxdb({ influxdb, secrets: [secret] })
    await write(pointAt(1))
    expect(writes[0]?.headers.authorization).toBe(expected)
  })

  test('is read again when it is refused, once, and after 15 minutes', async () => {
    const { write, reads, clock } = await openInfluxdb({
      secrets: [{ SecretString: 'T1' }, { SecretString: 'T2' }],
      answer: ({ headers }) => (headers.authorization === 'Token T2' ? taken : { status: 401 }),
    })
    expect(outcomesOf(await write(pointAt(1)))).toEqual(['ok'])
    expect(outcomesOf(await write(pointAt(2)))).toEqual(['ok'])
    expect(reads).toHaveLength(2)
    clock.advance(15 * 60_000)
    expect(outcomesOf(await write(pointAt(3)))).toEqual(['ok'])
    expect(reads).toHaveLength(3)
  })

  test.each<[string, Partial<InfluxdbConfiguration>, object, string]>([
    ['has no such key', { secretKey: 'k' }, { SecretString: '{"t":"secret"}' }, 'SecretUnusable'],
    ['is no JSON', { secretKey: 'k' }, { SecretString: 'secret' }, 'SecretUnusable'],
    [
      'is not of this type',
      { secretType: 'SecretBinary' },
      { SecretString: 's' },
      'SecretUnusable',
    ],
    ['is no token', {}, { SecretString: 'secret\r\nx: y' }, 'SecretUnusable'],
    [
      'may not be read',
      {},
      { status: 400, body: { __type: 'AccessDeniedException', message: 'no' } },
      'AccessDeniedException',
    ],
    [
      'is missing',
      {},
      { status: 400, body: { __type: 'ResourceNotFoundException', message: 'no' } },
      'ResourceNotFoundException',
    ],
    [
      'has a name that is none',
      {},
      { status: 400, body: { __type: 'ValidationException', message: 'no' } },
      'ValidationException',
    ],
  ])('%s: the records wait', async (_, influxdb, secret, code) => {
    const { write, writes } = await openInfluxdb({ influxdb, secrets: [secret] })
    const outcome = await write(pointAt(1))
    expect(outcomesOf(outcome)).toBe(`destination ${code}`)
    const { message } = (outcome as { failure: Failure }).failure
    expect(message).toMatch(/^the secret influx: /)
    expect(message).not.toContain('secret\r')
    expect(writes).toEqual([])
  })
})

/** An error of InfluxDB 2, and one of InfluxDB 3. */
const error2 = (status: number, code: string, message = 'refused'): ServiceAnswer => ({
  status,
  body: { code, message },
})
const error3 = (line: number, message: string): ServiceAnswer => ({
  status: 400,
  body: {
    error: 'parsing failed for write_lp endpoint',
    data: { original_line: 'm', line_number: line, error_message: message },
  },
})

describe('an answer', () => {
  test.each<[string, Partial<InfluxdbConfiguration>, ServiceAnswer, string]>([
    ['a throttle', {}, { ...error2(429, 'too many requests') }, 'passing HTTP_429'],
    ['an overload', {}, error2(503, 'unavailable'), 'passing HTTP_503'],
    ['an error', {}, error2(500, 'internal error'), 'passing HTTP_500'],
    ['a gateway that waits too long', {}, { status: 504, body: '<html>' }, 'passing HTTP_504'],
    ['the page of a proxy', {}, { status: 200, body: '<html>' }, 'passing HTTP_200'],
    ['a partial write of earlier servers', {}, { status: 201, body: '' }, 'passing HTTP_201'],
    ['a lost answer', {}, { isLost: true }, 'passing ECONNRESET'],
    ['a token that is not taken', {}, error2(401, 'unauthorized'), 'destination HTTP_401'],
    ['a token without permission', {}, error2(403, 'forbidden'), 'destination HTTP_403'],
    ['a missing bucket', {}, error2(404, 'not found'), 'destination HTTP_404'],
    ['another server', {}, { status: 405, body: '' }, 'destination HTTP_405'],
    [
      'a redirection',
      {},
      { status: 307, headers: { location: '/elsewhere' } },
      'destination HTTP_307',
    ],
    ['lines that are none', {}, error2(400, 'invalid', 'unable to parse'), 'record HTTP_400'],
    ['a field of another type', {}, error2(422, 'unprocessable entity'), 'record HTTP_422'],
    ['a body that is too large', {}, error2(413, 'request too large'), 'record HTTP_413'],
    ['a wrong line (3)', v3, error3(1, 'invalid column type'), 'record HTTP_400'],
    ['a token that is not taken (3)', v3, { status: 401, body: '' }, 'destination HTTP_401'],
    ['too many databases (3)', v3, error2(422, 'limit'), 'record HTTP_422'],
    ['an error (3)', v3, { status: 500, body: 'internal' }, 'passing HTTP_500'],
  ])('%s', async (_, influxdb, answer, expected) => {
    const { write } = await openInfluxdb({ influxdb, answer: () => answer })
    const outcome = await write(pointAt(1))
    expect([outcomesOf(outcome)].flat()).toEqual([expected])
  })

  test('asks for a pause', async () => {
    const { write } = await openInfluxdb({
      answer: () => ({ ...error2(429, 'too many'), headers: { 'retry-after': '30' } }),
    })
    expect(await write(pointAt(1), pointAt(2))).toMatchObject({
      answered: false,
      failure: {
        code: 'HTTP_429',
        retryAfterMs: 30_000,
        message: expect.stringMatching(/answered 429: .*too many/) as string,
      },
    })
  })
})

/** The values of the points of a write. */
const valuesIn = ({ bytes }: SentRequest) =>
  bytes
    .toString()
    .split('\n')
    .map((line) => line.replace(/^m v=(\S+) .*/, '$1'))
const isWrong = (value: string) => value.startsWith('"')

describe('a record that InfluxDB refuses', () => {
  /** Two good records, one with a wrong second point, three good ones, and two wrong ones. */
  const outputs = [
    ...[1, 2].map((time) => pointAt(time)),
    `[${pointAt(3)},${pointAt(4, 'x')}]`,
    ...[5, 6, 7].map((time) => pointAt(time)),
    ...[8, 9].map((time) => pointAt(time, 'x')),
  ]
  const bad = 'record HTTP_4'
  const expected = ['ok', 'ok', bad, 'ok', 'ok', 'ok', bad, bad]

  test.each<[string, Partial<InfluxdbConfiguration>, (wrong: number) => ServiceAnswer, number]>([
    ['2, which names no line', {}, () => error2(422, 'unprocessable entity', 'dropped=1'), 16],
    ['3, which names the first line', v3, (wrong) => error3(wrong + 1, 'invalid type'), 4],
    [
      '3, in the form of a partial write',
      v3,
      (wrong) => ({ status: 400, body: { error: 'partial', data: [{ line_number: wrong + 1 }] } }),
      4,
    ],
    ['3, with a line that is not there', v3, () => error3(999, 'odd'), 16],
  ])('by InfluxDB %s fails alone', async (_, influxdb, refuse, writesMax) => {
    const answer = (request: SentRequest) => {
      const wrong = valuesIn(request).findIndex(isWrong)
      return wrong === -1 ? taken : refuse(wrong)
    }
    const { write, writes } = await openInfluxdb({ influxdb, answer })
    const outcomes = [outcomesOf(await write(...outputs))].flat()
    expect(outcomes.map((each) => each.replace(/HTTP_4\d\d/, 'HTTP_4'))).toEqual(expected)
    expect(writes.length).toBeLessThanOrEqual(writesMax)
    // What counts as taken was in a write that was taken.
    const written = writes.filter((each) => !valuesIn(each).some(isWrong))
    expect(written.flatMap(valuesIn).length).toBeGreaterThanOrEqual(5)
  })

  test('leaves the others to wait when InfluxDB fails meanwhile', async () => {
    const { write } = await openInfluxdb({
      influxdb: v3,
      answer: (_, number) =>
        number === 0 ? error3(1, 'invalid type') : error2(503, 'unavailable'),
    })
    expect(outcomesOf(await write(pointAt(1, 'x'), pointAt(2), pointAt(3)))).toEqual([
      'record HTTP_400',
      'passing HTTP_503',
      'passing HTTP_503',
    ])
  })
})

test('nothing is written under a destination that is not enabled', async () => {
  const { write, writes, reads } = await openInfluxdb({ disabledReason: 'it is DISABLED' })
  expect(outcomesOf(await write(pointAt(1)))).toBe('destination DestinationNotEnabled')
  expect([writes, reads]).toEqual([[], []])
})

describe('the check of a destination', () => {
  test.each<[string, Partial<InfluxdbConfiguration>, string]>([
    ['2', {}, 'GET /api/v2/me'],
    ['3', v3, 'GET /api/v3/configure/database?format=json'],
  ])('of InfluxDB %s asks with the token', async (_, influxdb, line) => {
    const { probe, writes } = await openInfluxdb({
      influxdb,
      answer: () => ({ status: 200, body: {} }),
    })
    expect(await probe()).toBeUndefined()
    expect(writes[0]?.line).toBe(line)
    expect(writes[0]?.headers.authorization).toMatch(/^(?:Token|Bearer) T1$/)
  })

  test.each<[string, Setting, RegExp]>([
    [
      'the token is refused',
      { answer: () => error2(401, 'unauthorized') },
      /answered 401: .*unauthorized.* to GET \/api\/v2\/me/,
    ],
    [
      'the secret may not be read',
      { secrets: [{ status: 400, body: { __type: 'AccessDeniedException', message: 'no' } }] },
      /^AccessDeniedException: the secret influx: no/,
    ],
    ['nobody answers', { answer: () => ({ isLost: true }) }, /^ECONNRESET: /],
  ])('says why not: %s', async (_, setting, expected) => {
    const { probe } = await openInfluxdb(setting)
    expect(await probe()).toMatch(expected)
  })
})
