import {
  CreateTopicRuleCommand,
  DeleteTopicRuleCommand,
  DisableTopicRuleCommand,
  EnableTopicRuleCommand,
  GetTopicRuleCommand,
  ListTopicRulesCommand,
  ReplaceTopicRuleCommand,
  paginateListTopicRules,
} from '@aws-sdk/client-iot'
import type { TopicRulePayload } from '@aws-sdk/client-iot'
import { rm } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { SluiceError } from '../../../src/base/errors.ts'
import { openStore, roleArn } from '../../rules/rule-fixtures.ts'
import { startServer } from '../http-fixtures.ts'

const arnOf = (name: string): string => `arn:aws:iot:eu-central-1:123456789012:rule/${name}`
const payloadFor = (filter: string): TopicRulePayload => ({
  sql: `SELECT * FROM '${filter}'`,
  awsIotSqlVersion: '2016-03-23',
  actions: [{ kinesis: { roleArn, streamName: 'telemetry', partitionKey: 'device' } }],
})

/** Code, status and message of what the client throws. */
const failure = async (sending: Promise<unknown>): Promise<unknown[]> => {
  const error: unknown = await sending.then(
    () => 'no error',
    (thrown: unknown) => thrown,
  )
  const { name, message, $metadata } = error as Error & {
    $metadata: { httpStatusCode: number }
  }
  return [name, $metadata.httpStatusCode, message]
}

describe('the AWS client', () => {
  test('creates, reads, lists, disables, enables, replaces and deletes a rule', async () => {
    const store = await openStore({ clock: { ...systemClock, wallMs: () => 1_700_000_000_000 } })
    const { iot } = await startServer({ store })
    const ruleName = 'first'
    const topicRulePayload = { ...payloadFor('dt/+/x'), description: 'what it is for' }

    const created = await iot.send(new CreateTopicRuleCommand({ ruleName, topicRulePayload }))
    expect(created.$metadata.httpStatusCode).toBe(200)
    expect(created.$metadata.requestId).toMatch(/^[0-9a-f-]{36}$/)

    const got = await iot.send(new GetTopicRuleCommand({ ruleName }))
    expect(got.ruleArn).toBe(arnOf(ruleName))
    const createdAt = new Date(1_700_000_000_000)
    expect(got.rule).toEqual({ ...topicRulePayload, ruleName, createdAt, ruleDisabled: false })

    await iot.send(new DisableTopicRuleCommand({ ruleName }))
    const listed = await iot.send(new ListTopicRulesCommand({}))
    expect(listed.rules).toEqual([
      { ruleArn: arnOf(ruleName), ruleName, topicPattern: 'dt/+/x', createdAt, ruleDisabled: true },
    ])
    expect(listed.nextToken).toBeUndefined()
    expect(store.store.match('dt/7/x')).toEqual([])

    await iot.send(new EnableTopicRuleCommand({ ruleName }))
    expect(store.store.match('dt/7/x')).toHaveLength(1)

    await iot.send(new ReplaceTopicRuleCommand({ ruleName, topicRulePayload: payloadFor('other') }))
    expect([store.store.match('dt/7/x').length, store.store.match('other').length]).toEqual([0, 1])

    await iot.send(new DeleteTopicRuleCommand({ ruleName }))
    expect(store.store.all()).toEqual([])
  })

  test('keeps republish and error actions as they were given', async () => {
    const { iot } = await startServer()
    const headers = {
      contentType: 'application/json',
      messageExpiry: '60',
      userProperties: [{ key: 'from', value: '${topic()}' }],
    }
    const topicRulePayload: TopicRulePayload = {
      ...payloadFor('a'),
      actions: [{ republish: { roleArn, topic: 'again/${topic()}', qos: 1, headers } }],
      errorAction: { kinesis: { roleArn, streamName: 'errors', partitionKey: '${clientid()}' } },
    }
    await iot.send(new CreateTopicRuleCommand({ ruleName: 'r', topicRulePayload }))
    const { rule } = await iot.send(new GetTopicRuleCommand({ ruleName: 'r' }))
    expect(rule).toMatchObject(topicRulePayload)
  })

  test('stores tags with a rule', async () => {
    const { iot, store } = await startServer()
    await iot.send(
      new CreateTopicRuleCommand({
        ruleName: 'r',
        topicRulePayload: payloadFor('a'),
        tags: 'team=plant+nord&cost%20centre=a%2Fb%3D7&empty=',
      }),
    )
    expect(store.get('r').tags).toEqual({ team: 'plant nord', 'cost centre': 'a/b=7', empty: '' })
  })

  test('pages through all rules while others come and go', async () => {
    const { iot, store } = await startServer()
    for (const letter of 'bdfhjl') {
      await iot.send(
        new CreateTopicRuleCommand({ ruleName: letter, topicRulePayload: payloadFor(letter) }),
      )
    }
    const pages: (string | undefined)[][] = []
    for await (const page of paginateListTopicRules({ client: iot, pageSize: 2 }, {})) {
      pages.push(page.rules?.map((rule) => rule.ruleName) ?? [])
      if (pages.length !== 1) continue
      await store.delete('d')
      await iot.send(
        new CreateTopicRuleCommand({ ruleName: 'a', topicRulePayload: payloadFor('a') }),
      )
    }
    expect(pages).toEqual([
      ['b', 'd'],
      ['f', 'h'],
      ['j', 'l'],
    ])
  })

  test('lists by topic and by state', async () => {
    const { iot } = await startServer()
    for (const filter of ['x/#', 'x/y', 'z']) {
      const ruleName = filter.replaceAll(/\W/g, '_')
      await iot.send(new CreateTopicRuleCommand({ ruleName, topicRulePayload: payloadFor(filter) }))
    }
    await iot.send(new DisableTopicRuleCommand({ ruleName: 'x_y' }))
    const list = async (query: { topic?: string; ruleDisabled?: boolean }) => {
      const { rules } = await iot.send(new ListTopicRulesCommand(query))
      return rules?.map((rule) => rule.ruleName)
    }
    expect(await list({ topic: 'x/y' })).toEqual(['x__', 'x_y'])
    expect(await list({ topic: 'x/#' })).toEqual(['x__'])
    expect(await list({ ruleDisabled: true })).toEqual(['x_y'])
    expect(await list({ topic: 'x/y', ruleDisabled: false })).toEqual(['x__'])
  })

  test('gets each declared error by its name and status', async () => {
    const { iot, directory } = await startServer({ store: await openStore({ rulesMax: 2 }) })
    const create = (ruleName: string, topicRulePayload: TopicRulePayload, tags?: string) =>
      iot.send(
        new CreateTopicRuleCommand({ ruleName, topicRulePayload, ...(tags ? { tags } : {}) }),
      )
    await create('r', payloadFor('a'))

    expect(await failure(create('s', { ...payloadFor('a'), sql: 'SELEC *' }))).toEqual([
      'SqlParseException',
      400,
      expect.stringMatching(/line 1, column 1/),
    ])
    await expect(create('r', payloadFor('b'))).rejects.toMatchObject({
      name: 'ResourceAlreadyExistsException',
      $metadata: { httpStatusCode: 409 },
      resourceId: 'r',
      resourceArn: arnOf('r'),
    })
    expect(
      await failure(create('s', { sql: 'SELECT *', actions: [{ lambda: { functionArn: 'x' } }] })),
    ).toEqual([
      'InvalidRequestException',
      400,
      expect.stringMatching(/^actions\[0\]\.lambda\.functionArn: "x" is not the ARN of a function/),
    ])
    expect(await failure(create('s', payloadFor('a'), 'aws:x=1'))).toEqual([
      'InvalidRequestException',
      400,
      'the tag key aws:x begins with aws:, which AWS reserves',
    ])
    const denied = ['UnauthorizedException', 401, "Access to topic rule 'x' was denied"]
    const x = { ruleName: 'x' }
    expect(await failure(iot.send(new GetTopicRuleCommand(x)))).toEqual(denied)
    expect(await failure(iot.send(new EnableTopicRuleCommand(x)))).toEqual(denied)
    expect(await failure(iot.send(new DisableTopicRuleCommand(x)))).toEqual(denied)
    const replacement = new ReplaceTopicRuleCommand({ ...x, topicRulePayload: payloadFor('a') })
    expect(await failure(iot.send(replacement))).toEqual(denied)
    await iot.send(new DeleteTopicRuleCommand(x))

    await create('s', payloadFor('a'))
    expect(await failure(create('t', payloadFor('a')))).toEqual([
      'InvalidRequestException',
      400,
      'there are 2 rules already, as many as SLUICE_RULES_MAX allows',
    ])
    await rm(directory, { recursive: true })
    expect(await failure(iot.send(new DisableTopicRuleCommand({ ruleName: 's' })))).toEqual([
      'InternalException',
      500,
      expect.stringMatching(
        /^an internal error; the log has its cause under request [0-9a-f-]{36}$/,
      ),
    ])
  })
  test('is refused an update when too many others wait', async () => {
    const opened = await openStore()
    const conflict = new SluiceError('ConflictingResourceUpdateException', 'others are waiting')
    const rules = { ...opened.store, delete: () => Promise.reject(conflict) }
    const { iot } = await startServer({ store: opened, dependencies: { rules } })
    await expect(iot.send(new DeleteTopicRuleCommand({ ruleName: 'r' }))).rejects.toMatchObject({
      name: 'ConflictingResourceUpdateException',
      $metadata: { httpStatusCode: 409 },
    })
  })
})

describe('a request without an AWS client', () => {
  const minimal = JSON.stringify({ sql: "SELECT * FROM 'a'", actions: [] })

  test.each([
    ['without a content-type, as boto3 and the CLI send it', {}],
    ['with the content-type of a form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['with an odd content-type', { 'content-type': 'application/x-amz-json-1.1' }],
  ])('creates a rule %s', async (_name, headers) => {
    const { url, store } = await startServer()
    // A buffer, unlike a string, makes fetch add no content-type.
    const body = Buffer.from(minimal)
    const answer = await fetch(`${url}/rules/r`, { method: 'POST', headers, body })
    expect([answer.status, await answer.text()]).toEqual([200, ''])
    expect(store.get('r').payload.awsIotSqlVersion).toBe('2015-10-08')
  })

  test('creates a rule of the wrapped form', async () => {
    const { url, store } = await startServer()
    const body = `{"topicRulePayload": ${minimal}}`
    await fetch(`${url}/rules/r`, { method: 'POST', body })
    expect(store.get('r').payload.sql).toBe("SELECT * FROM 'a'")
  })

  test('gives createdAt as a number, and no topicPattern to a rule without FROM', async () => {
    const { url } = await startServer()
    const body = JSON.stringify({ sql: 'SELECT *', actions: [] })
    await fetch(`${url}/rules/r`, { method: 'POST', body })
    const listed: unknown = await (await fetch(`${url}/rules`)).json()
    expect(listed).toEqual({
      rules: [
        {
          ruleArn: arnOf('r'),
          ruleName: 'r',
          createdAt: expect.any(Number) as number,
          ruleDisabled: false,
        },
      ],
    })
  })

  test.each([
    ['POST', '/rules/a-b', minimal, 'ruleName must match ^[a-zA-Z0-9_]{1,128}$'],
    ['GET', `/rules/${'n'.repeat(129)}`, undefined, 'ruleName must match'],
    ['DELETE', '/rules/a%2Fb', undefined, 'ruleName must match'],
    ['POST', '/rules/a%20b/enable', undefined, 'ruleName must match'],
    ['POST', '/rules/r', undefined, 'not a JSON document'],
    ['POST', '/rules/r', '', 'not a JSON document'],
    ['POST', '/rules/r', '{', 'not a JSON document'],
    ['POST', '/rules/r', '[]', 'the document must be an object'],
    [
      'PATCH',
      '/rules/r',
      '{"sql": "SELECT *", "actions": [{"kinesis": {}}]}',
      '2 problems:\nactions[0].kinesis.roleArn is missing',
    ],
    ['POST', '/rules/r', 'x'.repeat(300_000), 'the body is larger than the 262144 bytes'],
    ['POST', '/rules/r/enable', 'x'.repeat(200_000), 'the body is larger than the 131072 bytes'],
    ['GET', '/rules?maxResults=0', undefined, 'maxResults must be 1 or more'],
    ['GET', '/rules?maxResults=10001', undefined, 'maxResults must be 10000 or less'],
    ['GET', '/rules?maxResults=many', undefined, 'maxResults must be an integer'],
    ['GET', '/rules?ruleDisabled=perhaps', undefined, 'ruleDisabled must be a boolean'],
    ['GET', '/rules?topic=a&topic=b', undefined, 'topic must be a string'],
    ['GET', '/rules?nextToken=abc', undefined, 'nextToken is not one that a list gave'],
    ['GET', '/rules/%zz', undefined, "'/rules/%zz' is not a valid url component"],
  ])('is told what is wrong with %s %s', async (method, path, body, message) => {
    const { url } = await startServer()
    const init = body === undefined ? { method } : { method, body: Buffer.from(body) }
    const answer = await fetch(`${url}${path}`, init)
    expect(answer.status).toBe(400)
    expect(answer.headers.get('x-amzn-errortype')).toBe('InvalidRequestException')
    expect(answer.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/)
    const { message: told } = (await answer.json()) as { message: string }
    expect(told.slice(0, message.length)).toBe(message)
  })

  test.each([
    ['k=1&k=2', 'tag k is given twice'],
    ['=v', 'a tag without a key is given'],
    [`${'k'.repeat(129)}=`, 'has more than 128 characters'],
    [`k=${'v'.repeat(257)}`, 'the value of tag k has more than 256 characters'],
    ['k=%E0%A4', '%E0%A4 in x-amz-tagging is not URL-encoded'],
    ['k=a*b', 'tag k holds characters other than'],
    [Array.from({ length: 51 }, (_, key) => `k${key}=v`).join('&'), '51 tags are given'],
  ])('is told what is wrong with the tags %s', async (tagging, message) => {
    const { url, store } = await startServer()
    const headers = { 'x-amz-tagging': tagging }
    const answer = await fetch(`${url}/rules/r`, { method: 'POST', headers, body: minimal })
    expect(answer.status).toBe(400)
    expect(await answer.text()).toContain(message)
    expect(store.all()).toEqual([])
  })

  test('may give a rule 50 tags of full length', async () => {
    const { url, store } = await startServer()
    const tags = Array.from({ length: 50 }, (_, key): [string, string] => [
      `${'k'.repeat(120)}${key}`,
      'v w'.repeat(85),
    ])
    const headers = { 'x-amz-tagging': new URLSearchParams(tags).toString() }
    const answer = await fetch(`${url}/rules/r`, { method: 'POST', headers, body: minimal })
    expect(answer.status).toBe(200)
    expect(store.get('r').tags).toEqual(Object.fromEntries(tags))
  })

  test('may use a name of 128 characters', async () => {
    const { url } = await startServer()
    const name = 'n'.repeat(128)
    await fetch(`${url}/rules/${name}`, { method: 'POST', body: minimal })
    const answer = await fetch(`${url}/rules/${name}`)
    expect(((await answer.json()) as { ruleArn: string }).ruleArn).toBe(arnOf(name))
  })
})
