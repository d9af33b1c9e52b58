import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ActionDelivery } from '../../../src/actions/action/action.ts'
import { compileActions } from '../../../src/actions/compile-actions.ts'
import { createAwsCalls } from '../../../src/aws/aws-calls.ts'
import { createHttpHosts } from '../../../src/aws/http/http-hosts.ts'
import { createHttpPoster } from '../../../src/aws/http/http-poster.ts'
import { sourceOf } from '../../../src/engine/run-rule.ts'
import { deliveryDefaults as settings } from '../../../src/outbox/outbox.ts'
import type { NewRecord, QueuedRecord } from '../../../src/outbox/outbox.ts'
import { newQueuedRecord } from '../../../src/outbox/store/queued-record.ts'
import { encodeRecord } from '../../../src/outbox/store/record-codec.ts'
import { parsePayload } from '../../../src/rules/payload.ts'
import { verifySignature } from '../../../src/sigv4/verify-signature.ts'
import { compileStatement } from '../../../src/sql/sql.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'
import { messageWith, scopeOf } from '../../helpers/messages.ts'
import { destinationAt, outcomesOf } from './recording-service.ts'

/** What the HTTP action sends to an endpoint, and what becomes of its records. */

interface Sent {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}
interface Answer {
  readonly status?: number
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly isCut?: boolean
}

const sigv4 = {
  sigv4: {
    signingRegion: 'eu-north-1',
    serviceName: 'execute-api',
    roleArn: 'arn:aws:iam::123456789012:role/r',
  },
}
const credentials = { accessKeyId: 'AKIATEST', secretAccessKey: 'secret' }

/** An endpoint that keeps what it got, and a sender of its records. */
async function openEndpoint(answering: (request: Sent) => Answer = () => ({})) {
  const sent: Sent[] = []
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { url = '', headers } = request
    const seen = { path: url, headers, body: (await buffer(request)).toString() }
    sent.push(seen)
    const { status = 200, body = '', headers: own = {}, isCut } = answering(seen)
    if (isCut) request.socket.destroy()
    else response.writeHead(status, own).end(body)
  }
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const clock = createManualClock(Date.now())
  const poster = createHttpPoster({ clock }, createHttpHosts({ hosts: [], isLab: true }).guard)
  let reason: string | undefined
  const aws = createAwsCalls(
    { clock, logger: createMemoryLogger(() => undefined) },
    {
      baseCredentials: credentials,
      http: {
        poster,
        disabledReason: () => reason,
        influxdbOf: () => ({ disabledReason: 'none' }),
        clock,
      },
    },
  )
  onTestFinished(() => {
    aws.close()
    poster.close()
    server.closeAllConnections()
    server.close()
  })

  /** @returns a function that sends messages of this action in one call, as delivery does */
  function senderOf(fields: object, delivery: Partial<ActionDelivery> = {}) {
    const { actions } = parsePayload({
      sql: "SELECT * FROM '#'",
      actions: [{ http: { url: `${origin}/hook`, ...fields } }],
    })
    const statement = compileStatement("SELECT * FROM '#'", '2016-03-23')
    const context = {
      ruleName: 'r',
      region: 'eu-west-1',
      deliveryOf: () => ({ settings, ...delivery }),
    }
    const [action] = compileActions({ actions }, statement, context).actions
    let sequence = 0
    const queued = (payload: unknown, topic: string): readonly [NewRecord, QueuedRecord] => {
      const message = messageWith({ payload, topic })
      const output = Buffer.from(JSON.stringify(payload))
      const outcome = action?.apply(
        scopeOf(message),
        output,
        sourceOf(message, () => 'm'),
      )
      if (!outcome?.ok) throw new Error(outcome?.failure.message)
      const [record] = outcome.records
      if (record === undefined) throw new Error('the action made no record')
      sequence += 1
      const place = { sequence, acceptedAtMs: 1, stored: encodeRecord(record, 1) }
      return [record, newQueuedRecord(record, place)]
    }
    const [first] = queued({ d: 0, u: 0, n: 0 }, 'a')
    const sender = aws.senderFor({ ...destinationAt(undefined, first) })
    return {
      destination: first.destination,
      queued: (payload: unknown, topic = 'a') => queued(payload, topic)[1],
      send: (...records: readonly QueuedRecord[]) =>
        sender.send(records, new AbortController().signal),
    }
  }
  const disable = (why: string | undefined) => (reason = why)
  return { origin, sent, senderOf, clock, disable }
}

describe('one record', () => {
  test('is the body of a POST with the headers of the action', async () => {
    const { senderOf, sent } = await openEndpoint()
    const headers = [
      { key: 'x-device', value: '${d}' },
      { key: 'X-Device', value: 'again' },
    ]
    const { send, queued, destination } = senderOf({ headers })
    expect(outcomesOf(await send(queued({ d: 'd1' })))).toEqual(['ok'])
    const [{ path, headers: got, body } = {} as Sent] = sent
    expect([path, body]).toEqual(['/hook', '{"d":"d1"}'])
    expect([got['content-type'], got['x-device']]).toEqual(['application/json', 'd1, again'])
    expect(destination.settings.batching).toMatchObject({ count: 1, periodMs: 0 })
  })

  test('waits while nobody gives credentials to sign it with', async () => {
    const { senderOf, sent } = await openEndpoint()
    const { send, queued } = senderOf({ auth: sigv4 })
    process.env['AWS_ENDPOINT_URL_STS'] = 'http://127.0.0.1:1'
    onTestFinished(() => void delete process.env['AWS_ENDPOINT_URL_STS'])
    expect(outcomesOf(await send(queued({})))).toBe('passing ECONNREFUSED')
    expect(sent).toEqual([])
  })

  test('is signed for the service and the region of the action', async () => {
    const { senderOf, sent, clock } = await openEndpoint()
    const { send, queued } = senderOf({ auth: sigv4 }, { credentials: 'process' })
    expect(outcomesOf(await send(queued({ t: 1 })))).toEqual(['ok'])
    const [{ path, headers, body } = {} as Sent] = sent
    const verified = await verifySignature(
      { method: 'POST', target: path, headers, body: Buffer.from(body) },
      {
        service: 'execute-api',
        regions: ['eu-north-1'],
        nowMs: clock.wallMs(),
        findKey: () => credentials,
      },
    )
    expect(verified).toMatchObject({ isValid: true, accessKeyId: 'AKIATEST' })
  })

  test('is not sent while the destination is not enabled', async () => {
    const { senderOf, sent, disable } = await openEndpoint()
    disable('it is IN_PROGRESS')
    const { send, queued } = senderOf({})
    expect(await send(queued({}))).toEqual({
      answered: false,
      failure: { code: 'DestinationNotEnabled', message: 'it is IN_PROGRESS', source: 'HTTP' },
    })
    expect(sent).toEqual([])
    disable(undefined)
    expect(outcomesOf(await send(queued({})))).toEqual(['ok'])
  })
})

describe('the answer of an endpoint', () => {
  test.each([
    [200, 'ok'],
    [201, 'ok'],
    [204, 'ok'],
    // A redirect is not followed: the URL of the rule is wrong for all of its records.
    [301, 'destination HTTP_301'],
    [302, 'destination HTTP_302'],
    [307, 'destination HTTP_307'],
    [308, 'destination HTTP_308'],
    [400, 'record HTTP_400'],
    [401, 'destination HTTP_401'],
    [403, 'destination HTTP_403'],
    [405, 'destination HTTP_405'],
    [407, 'destination HTTP_407'],
    [408, 'passing HTTP_408'],
    [409, 'record HTTP_409'],
    [413, 'record HTTP_413'],
    [415, 'record HTTP_415'],
    [422, 'record HTTP_422'],
    [425, 'passing HTTP_425'],
    [429, 'passing HTTP_429'],
    [500, 'passing HTTP_500'],
    [501, 'passing HTTP_501'],
    [502, 'passing HTTP_502'],
    [503, 'passing HTTP_503'],
    [504, 'passing HTTP_504'],
    [599, 'passing HTTP_599'],
  ])('%i: %s', async (status, expected) => {
    const { senderOf, sent } = await openEndpoint(() => ({
      status,
      headers: { location: '/other' },
    }))
    const { send, queued } = senderOf({})
    expect(String(outcomesOf(await send(queued({}))))).toBe(expected)
    expect(sent).toHaveLength(1)
  })

  test.each([404, 410])(
    '%i of the confirmed URL is a condition, of another one not',
    async (status) => {
      const { senderOf, origin } = await openEndpoint(() => ({ status }))
      const own = senderOf({})
      expect(outcomesOf(await own.send(own.queued({})))).toBe('destination EndpointNotFound')
      const below = senderOf({ url: `${origin}/d/\${d}`, confirmationUrl: `${origin}/d` })
      expect(outcomesOf(await below.send(below.queued({ d: 1 })))).toEqual([
        `record HTTP_${status}`,
      ])
    },
  )

  test('is shown with its beginning, and the URL without its query', async () => {
    const { senderOf, origin } = await openEndpoint(() => ({ status: 400, body: ' no\n  t\n' }))
    const { send, queued } = senderOf({ url: `${origin}/hook?token=secret` })
    expect(await send(queued({}))).toMatchObject({
      records: [{ failure: { message: `${origin}/hook answered 400 Bad Request: no t` } }],
    })
  })

  test('that is cut off, or is none, passes', async () => {
    const cut = await openEndpoint(() => ({ isCut: true }))
    const { send, queued } = cut.senderOf({})
    expect(outcomesOf(await send(queued({})))).toBe('passing ECONNRESET')
  })

  test('of AWS has its code, when the request was signed', async () => {
    const headers = { 'x-amzn-errortype': 'ThrottlingException:http://internal' }
    const { senderOf } = await openEndpoint(() => ({ status: 400, headers }))
    const signed = senderOf({ auth: sigv4 }, { credentials: 'process' })
    expect(outcomesOf(await signed.send(signed.queued({})))).toBe('passing ThrottlingException')
    const unsigned = senderOf({})
    expect(outcomesOf(await unsigned.send(unsigned.queued({})))).toEqual(['record HTTP_400'])
  })
})

describe('a record that the endpoint always fails for', () => {
  test('lets others pass, and is given up when those have been taken for long', async () => {
    const { senderOf, clock } = await openEndpoint(({ body }) => ({
      status: body.includes('bad') ? 500 : 200,
    }))
    const { send, queued } = senderOf({})
    const bad = queued({ kind: 'bad' })
    const outcomes: string[] = []
    for (let call = 0; call < 8; call++) outcomes.push(String(outcomesOf(await send(bad))))
    // Seven times the endpoint is to blame, and then another record is tried.
    expect(outcomes).toEqual(Array.from({ length: 8 }, () => 'passing HTTP_500'))
    expect(await send(queued({}))).toMatchObject({ answered: true })
    expect(await send(bad)).toMatchObject({ answered: true })
    clock.advance(299_999)
    expect(outcomesOf(await send(bad))).toEqual(['passing HTTP_500'])
    clock.advance(1)
    expect(outcomesOf(await send(bad))).toEqual(['record RefusedRepeatedly'])
  })

  test('is not given up while the endpoint takes nothing', async () => {
    const { senderOf, clock } = await openEndpoint(() => ({ status: 500 }))
    const { send, queued } = senderOf({})
    const [one, other] = [queued({}), queued({})]
    for (let call = 0; call < 40; call++) {
      clock.advance(60_000)
      expect(String(outcomesOf(await send(one)))).toBe('passing HTTP_500')
      expect(String(outcomesOf(await send(other)))).toBe('passing HTTP_500')
    }
  })

  test('does not take the others of its batch with it', async () => {
    const { senderOf } = await openEndpoint(({ body }) => ({
      status: body.includes('bad') ? 422 : 200,
    }))
    const { send, queued } = senderOf({ enableBatching: true })
    const outcome = await send(queued({ n: 1 }), queued({ n: 'bad' }), queued({ n: 3 }))
    expect(outcomesOf(outcome)).toEqual(['ok', 'record HTTP_422', 'ok'])
  })
})

const bodiesOf = (sent: readonly Sent[]) => sent.map(({ body }) => body).toSorted()

describe('a batch', () => {
  test('is a JSON array of the records of one topic and URL', async () => {
    const { senderOf, sent, origin } = await openEndpoint()
    const { send, queued, destination } = senderOf({
      enableBatching: true,
      url: `${origin}/\${u}`,
      confirmationUrl: origin,
      headers: [{ key: 'x-n', value: '${n}' }],
    })
    const outcome = await send(
      queued({ u: 'x', n: 1 }, 'a'),
      queued({ u: 'x', n: 2 }, 'b'),
      queued({ u: 'x', n: 3 }, 'a'),
      queued({ u: 'y', n: 4 }, 'a'),
    )
    expect(outcomesOf(outcome)).toEqual(['ok', 'ok', 'ok', 'ok'])
    expect(bodiesOf(sent)).toEqual([
      '[{"u":"x","n":1},{"u":"x","n":3}]',
      '[{"u":"x","n":2}]',
      '[{"u":"y","n":4}]',
    ])
    // "Headers: those of the last message put into the batch."
    expect(sent.find(({ body }) => body.includes('"n":1'))?.headers['x-n']).toBe('3')
    expect(destination.settings.batching).toMatchObject({ count: 10, periodMs: 20 })
  })

  test('spans topics where the action says so, and ends at its limits', async () => {
    const { senderOf, sent } = await openEndpoint()
    const batchConfig = {
      batchAcrossTopics: true,
      maxBatchSize: 2,
      maxBatchSizeBytes: 100,
      maxBatchOpenMs: 50,
    }
    const { send, queued, destination } = senderOf({ enableBatching: true, batchConfig })
    const long = 'x'.repeat(80)
    await send(queued(1, 'a'), queued(2, 'b'), queued(3, 'c'), queued(long, 'd'), queued(long, 'e'))
    expect(bodiesOf(sent)).toEqual([`["${long}"]`, '[1,2]', `[3,"${long}"]`])
    expect(destination.settings.batching).toMatchObject({ count: 2, periodMs: 50 })
  })
})
