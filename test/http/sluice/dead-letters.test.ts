import { targetOf } from '../../../src/outbox/outbox.ts'
import { describe, expect, test } from 'vitest'
import { messageWith } from '../../helpers/messages.ts'
import { everything } from '../../outbox/outbox-parts.ts'
import { payloadOf, roleArn } from '../../rules/rule-fixtures.ts'
import { startServer } from '../http-fixtures.ts'
import type { StartedServer } from '../http-fixtures.ts'

const kinesis = (members: object = {}) => ({
  kinesis: { roleArn, streamName: 's', partitionKey: '${n}', ...members },
})

interface Answer {
  readonly status: number
  readonly body: unknown
}

async function call(server: StartedServer, path: string, init: RequestInit = {}): Promise<Answer> {
  const answer = await fetch(`${server.url}${path}`, init)
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? '' : (JSON.parse(text) as unknown) }
}

const post = (body: unknown) => ({ method: 'POST', body: JSON.stringify(body) })
const reason = { code: 'ResourceNotFoundException', message: 'no stream' }

/** A server whose rule `r` has sent messages n = 1, 2, 3, all of which were given up since. */
async function serverWithLetters(members: object = {}): Promise<StartedServer> {
  const server = await startServer()
  const { store, engine, outbox } = server
  await store.create('r', payloadOf('a/b', { actions: [kinesis()], ...members }), {})
  for (const n of [1, 2, 3]) {
    const given = { payload: { n }, traceId: `trace-${n}`, timestampMs: 1_700_000_000_000 + n }
    await engine.ingest(messageWith(given))
  }
  await giveUpAll(server)
  expect(outbox.deadLetters.size().records).toBe(3)
  return server
}

async function giveUpAll({ outbox }: StartedServer): Promise<void> {
  for (const { id } of outbox.destinations()) {
    const records = outbox.read(id, 0, everything)
    const failure = { reason, attempts: 4, firstMs: 10, lastMs: 20 }
    await outbox.giveUp(
      id,
      records.map((record) => ({ record, ...failure })),
    )
  }
}

/** Partition keys and data that wait for a stream. */
function waitingFor({ outbox }: StartedServer, streamName: string): string[] {
  return outbox
    .destinations()
    .filter(({ destination }) => targetOf(destination) === streamName)
    .flatMap(({ id }) => outbox.read(id, 0, everything))
    .map(({ partitionKey, data }) => `${partitionKey} ${data.toString()}`)
}

const idsOf = ({ outbox }: StartedServer) =>
  outbox.deadLetters.list().deadLetters.map(({ id }) => id)

describe('GET /v1/dead-letters', () => {
  test('shows dead letters with all their members, page by page', async () => {
    const server = await serverWithLetters()
    const first = await call(server, '/v1/dead-letters?maxResults=2')
    expect(first).toMatchObject({
      status: 200,
      body: {
        deadLetters: [
          {
            id: expect.stringMatching(/^\d+$/) as string,
            ruleName: 'r',
            action: 0,
            reason,
            attempts: 4,
            firstMs: 10,
            lastMs: 20,
            destination: { streamName: 's', credentials: { kind: 'role', roleArn } },
            partitionKey: '1',
            dataBase64: Buffer.from('{"n":1}').toString('base64'),
            origin: {
              topic: 'a/b',
              clientId: 'c1',
              traceId: 'trace-1',
              timestampMs: 1_700_000_000_001,
              payloadBase64: Buffer.from('{"n":1}').toString('base64'),
            },
          },
          { partitionKey: '2' },
        ],
      },
    })
    const { nextToken } = first.body as { nextToken: string }
    const second = await call(server, `/v1/dead-letters?maxResults=2&nextToken=${nextToken}`)
    expect(second.body).toMatchObject({ deadLetters: [{ partitionKey: '3' }] })
    expect(second.body).not.toHaveProperty('nextToken')
  })

  test('lists the dead letters of one rule', async () => {
    const server = await serverWithLetters()
    const other = await call(server, '/v1/dead-letters?ruleName=other')
    expect(other.body).toEqual({ deadLetters: [] })
    const { body } = await call(server, '/v1/dead-letters?ruleName=r')
    expect(body).toMatchObject({ deadLetters: [{}, {}, {}] })
  })

  test.each(['nextToken=x', 'maxResults=0', 'ruleName=a%2Fb'])('refuses %s', async (query) => {
    const answer = await call(await startServer(), `/v1/dead-letters?${query}`)
    expect(answer).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining(query.split('=')[0] ?? '') as string },
    })
  })
})

describe('POST /v1/dead-letters/replay', () => {
  const path = '/v1/dead-letters/replay'

  test('sends records again as they were, in order', async () => {
    const server = await serverWithLetters()
    await server.store.replace('r', payloadOf('a/b', { actions: [kinesis({ streamName: 't' })] }))
    const answer = await call(server, path, post({ how: 'asIs' }))
    expect(answer).toEqual({ status: 200, body: { replayed: 3, kept: 0 } })
    expect(waitingFor(server, 's')).toEqual(['1 {"n":1}', '2 {"n":2}', '3 {"n":3}'])
    expect(server.outbox.deadLetters.size().records).toBe(0)
  })

  test('evaluates the rule as it is now, in order; dead letters that it does not match stay', async () => {
    const server = await serverWithLetters()
    await server.store.replace(
      'r',
      payloadOf('a/b', {
        sql: "SELECT n, 'again' AS how FROM 'a/b' WHERE n <> 2",
        actions: [kinesis({ streamName: 't', partitionKey: '${topic(2)}' })],
      }),
    )
    const answer = await call(server, path, post({ ruleName: 'r' }))
    expect(answer).toEqual({ status: 200, body: { replayed: 2, kept: 1 } })
    expect(waitingFor(server, 't')).toEqual(['b {"n":1,"how":"again"}', 'b {"n":3,"how":"again"}'])
    expect(server.outbox.ledger('r')).toMatchObject([
      { accepted: 3, queued: 2, deadLettered: 1, delivered: 0, dropped: 0 },
    ])
  })

  test('distributes the messages that a republish action makes', async () => {
    const server = await serverWithLetters()
    const actions = [{ republish: { roleArn, topic: 'again' } }]
    await server.store.replace('r', payloadOf('a/b', { actions }))
    await server.store.create('again', payloadOf('again', { actions: [kinesis()] }), {})
    const [id = ''] = idsOf(server)
    expect((await call(server, path, post({ ids: [id] }))).body).toEqual({ replayed: 1, kept: 0 })
    expect(waitingFor(server, 's')).toEqual(['1 {"n":1}'])
    expect(server.distributed).toMatchObject([{ topic: 'again', payload: Buffer.from('{"n":1}') }])
    expect(server.outbox.ledger('r')).toMatchObject([{ accepted: 3, handedOver: 1 }])
  })

  test.each(['rule', 'asIs'])('is answered once for each dead letter: %s', async (how) => {
    const server = await serverWithLetters()
    const [first = '', ...others] = idsOf(server)
    const answers = await Promise.all([
      call(server, path, post({ how, ids: [first] })),
      call(server, path, post({ how })),
      call(server, path, post({ how, ids: others })),
    ])
    expect(answers).toMatchObject(answers.map(() => ({ status: 200, body: { kept: 0 } })))
    const counts = answers.map(({ body }) => (body as { replayed: number }).replayed)
    expect(counts.reduce((sum, count) => sum + count)).toBe(3)
    expect(waitingFor(server, 's').toSorted()).toEqual(['1 {"n":1}', '2 {"n":2}', '3 {"n":3}'])
    expect(await call(server, path, post({ how, ids: [first] }))).toEqual({
      status: 200,
      body: { replayed: 0, kept: 0 },
    })
    expect(server.outbox.ledger('r')).toMatchObject([{ accepted: 3, queued: 3, deadLettered: 0 }])
  })

  test('keeps the dead letters of a deleted rule', async () => {
    const server = await serverWithLetters()
    await server.store.delete('r')
    expect((await call(server, path, post({}))).body).toEqual({ replayed: 0, kept: 3 })
  })

  test.each<[unknown, string]>([
    ['no JSON', 'must be an object'],
    [{ ids: ['x'] }, 'ids[0] must match'],
    [{ how: 'soon' }, 'how must be one of rule, asIs'],
    [{ ids: [], ruleName: 'r' }, 'give one of them'],
    [{ rule: 'r' }, 'rule is not a known member'],
  ])('refuses %j', async (body, message) => {
    const answer = await call(await startServer(), path, post(body))
    expect(answer).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining(message) as string },
    })
  })
})

describe('DELETE /v1/dead-letters/{id}', () => {
  test('deletes a dead letter', async () => {
    const server = await serverWithLetters()
    const [, id = ''] = idsOf(server)
    expect(await call(server, `/v1/dead-letters/${id}`, { method: 'DELETE' })).toEqual({
      status: 200,
      body: '',
    })
    expect(idsOf(server)).not.toContain(id)
    expect(server.outbox.ledger('r')).toMatchObject([{ deadLettered: 2, dropped: 1 }])
    const again = await call(server, `/v1/dead-letters/${id}`, { method: 'DELETE' })
    expect(again).toMatchObject({ status: 404 })
  })

  test('is answered once of two requests at the same time', async () => {
    const server = await serverWithLetters()
    const [id = ''] = idsOf(server)
    const both = [1, 2].map(() => call(server, `/v1/dead-letters/${id}`, { method: 'DELETE' }))
    const statuses = (await Promise.all(both)).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 404]))
    expect(server.outbox.ledger('r')).toMatchObject([{ deadLettered: 2, dropped: 1 }])
  })
})

/** A server whose rule `r` failed for messages n = 1, 2, because they have no k. */
async function serverWithFailures(): Promise<StartedServer> {
  const server = await startServer()
  const actions = [kinesis({ partitionKey: '${k}' })]
  await server.store.create('r', payloadOf('a/b', { actions }), {})
  for (const n of [1, 2]) await server.engine.ingest(messageWith({ payload: { n } }))
  return server
}

describe('a message for which an action failed', () => {
  const replayPath = '/v1/dead-letters/replay'

  test('is shown with rule, action, field, reason and message', async () => {
    const server = await serverWithFailures()
    const { body } = await call(server, '/v1/dead-letters?ruleName=r')
    const [letter, ...others] = (body as { deadLetters: object[] }).deadLetters
    expect(letter).toMatchObject({
      ruleName: 'r',
      action: 0,
      field: 'actions[0].kinesis.partitionKey',
      reason: { code: 'TemplateFailed', message: 'the partition key is empty' },
      attempts: 0,
      dataBase64: Buffer.from('{"n":1}').toString('base64'),
      origin: { topic: 'a/b', clientId: 'c1' },
    })
    expect(letter).not.toHaveProperty('destination')
    expect(letter).not.toHaveProperty('partitionKey')
    expect(others).toHaveLength(1)
    expect((await call(server, '/v1/outbox')).body).toMatchObject({
      records: 0,
      deadLetters: { records: 2 },
      ledger: { accepted: 2, queued: 0, deadLettered: 2 },
    })
  })

  test('is sent when the corrected rule is replayed, and counted once', async () => {
    const server = await serverWithFailures()
    expect((await call(server, replayPath, post({}))).body).toEqual({ replayed: 0, kept: 2 })
    await server.store.replace('r', payloadOf('a/b', { actions: [kinesis()] }))
    expect((await call(server, replayPath, post({}))).body).toEqual({ replayed: 2, kept: 0 })
    expect(waitingFor(server, 's')).toEqual(['1 {"n":1}', '2 {"n":2}'])
    expect(server.outbox.ledger('r')).toMatchObject([{ accepted: 2, queued: 2, deadLettered: 0 }])
  })

  test('is kept when it is to be replayed as it was: there is no record', async () => {
    const server = await serverWithFailures()
    const answer = await call(server, replayPath, post({ how: 'asIs' }))
    expect(answer.body).toEqual({ replayed: 0, kept: 2 })
  })

  test('can be deleted', async () => {
    const server = await serverWithFailures()
    const [id = ''] = idsOf(server)
    await call(server, `/v1/dead-letters/${id}`, { method: 'DELETE' })
    expect(idsOf(server)).toHaveLength(1)
    expect(server.outbox.ledger('r')).toMatchObject([{ accepted: 2, deadLettered: 1, dropped: 1 }])
  })
})

describe('GET /v1/rules/{ruleName}/stats', () => {
  test('gives evaluations, failures and the ledger of each action', async () => {
    const errorAction = kinesis({ streamName: 'errors' })
    const server = await startServer()
    await server.store.create(
      'r',
      payloadOf('a/b', {
        sql: "SELECT * FROM 'a/b' WHERE n > 1",
        actions: [kinesis(), kinesis({ partitionKey: '${nothing}' })],
        errorAction,
      }),
      {},
    )
    for (const n of [1, 2, 3]) await server.engine.ingest(messageWith({ payload: { n } }))
    const none = { delivered: 0, deadLettered: 0, dropped: 0, handedOver: 0 }
    expect(await call(server, '/v1/rules/r/stats')).toEqual({
      status: 200,
      body: {
        ruleName: 'r',
        evaluations: { matched: 2, unmatched: 1, failed: 0 },
        actionFailures: { '1': 2 },
        actions: [
          { action: 'errorAction', accepted: 2, queued: 2, ...none },
          { action: 0, accepted: 2, queued: 2, ...none },
          {
            action: 1,
            accepted: 0,
            queued: 0,
            ...none,
            lastFailure: {
              atMs: 1_700_000_000_123,
              code: 'TemplateFailed',
              reason: expect.stringMatching(/^actions\[1\]\.kinesis\.partitionKey: /),
              state: 'failed',
            },
          },
        ],
      },
    })
  })

  test('tells the last failure of a statement, which tried no action', async () => {
    const server = await startServer()
    const sql = "SELECT aws_lambda('arn:aws:lambda:us-east-1:123456789012:function:f', n) FROM 'a'"
    await server.store.create('r', payloadOf('a', { sql, actions: [kinesis()] }), {})
    await server.engine.ingest(messageWith({ topic: 'a', payload: { n: 1 } }))
    expect(await call(server, '/v1/rules/r/stats')).toMatchObject({
      body: {
        evaluations: { failed: 1 },
        lastFailure: {
          code: 'ExternalFunctionFailed',
          reason: expect.stringMatching('aws_lambda'),
        },
        actions: [{ action: 0, deadLettered: 1 }],
      },
    })
  })

  test('has the counters of a deleted rule, and 404 for a rule that never existed', async () => {
    const server = await serverWithLetters()
    await server.store.delete('r')
    expect(await call(server, '/v1/rules/r/stats')).toMatchObject({
      body: { actions: [{ action: 0, accepted: 3, deadLettered: 3 }] },
    })
    expect(await call(server, '/v1/rules/nope/stats')).toMatchObject({ status: 404 })
  })
})

test('GET /v1/rules/stats gives the same for all rules, page by page', async () => {
  const server = await startServer()
  for (const name of ['b', 'c', 'a']) {
    await server.store.create(name, payloadOf('a/b', { actions: [kinesis()] }), {})
  }
  await server.engine.ingest(messageWith({ payload: { n: 1 } }))
  const first = await call(server, '/v1/rules/stats?maxResults=2')
  const { rules, nextToken } = first.body as { rules: unknown[]; nextToken: string }
  const { body: alone } = await call(server, '/v1/rules/a/stats')
  expect(rules).toEqual([alone, expect.objectContaining({ ruleName: 'b' })])
  const last = await call(server, `/v1/rules/stats?maxResults=2&nextToken=${nextToken}`)
  expect(last.body).toEqual({ rules: [expect.objectContaining({ ruleName: 'c' })] })
})

test('GET /v1/outbox gives the waiting records by destination, and the limits', async () => {
  const server = await startServer()
  await server.store.create('r', payloadOf('a/b', { actions: [kinesis()] }), {})
  await server.engine.ingest(messageWith({ payload: { n: 1 } }))
  const { bytes } = server.outbox.size()
  expect(await call(server, '/v1/outbox')).toEqual({
    status: 200,
    body: {
      records: 1,
      bytes,
      limits: {
        bytesMax: 1_073_741_824,
        destinationBytesMax: 268_435_456,
        destinationsMax: 1_000,
        deadLetterBytesMax: 268_435_456,
      },
      deadLetters: { records: 0, bytes: 0 },
      destinations: [
        expect.objectContaining({
          region: 'eu-central-1',
          streamName: 's',
          records: 1,
          bytes,
          oldestAgeMs: expect.any(Number) as number,
        }) as object,
      ],
      furtherDestinations: 0,
      ledger: { accepted: 1, delivered: 0, queued: 1, deadLettered: 0, dropped: 0, handedOver: 0 },
    },
  })
})
