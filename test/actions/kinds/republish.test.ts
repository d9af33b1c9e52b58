import { describe, expect, test } from 'vitest'
import { compileActions } from '../../../src/actions/compile-actions.ts'
import { sourceOf } from '../../../src/engine/run-rule.ts'
import type { RepublishActionDefinition } from '../../../src/actions/kinds/republish.ts'
import { deliveryDefaults as settings } from '../../../src/outbox/outbox.ts'
import { compileStatement } from '../../../src/sql/sql.ts'
import { messageWith, scopeOf } from '../../helpers/messages.ts'

const roleArn = 'arn:aws:iam::123456789012:role/write'

function compile(republish: Partial<RepublishActionDefinition>) {
  const definition = { republish: { roleArn, topic: 't', ...republish } }
  const statement = compileStatement("SELECT * FROM 'a/b'", '2016-03-23')
  const context = { ruleName: 'r', region: 'eu-west-1', deliveryOf: () => ({ settings }) }
  const [action] = compileActions({ actions: [definition] }, statement, context).actions
  if (!action) throw new Error('no action was compiled')
  return action
}

function apply(
  republish: Partial<RepublishActionDefinition>,
  payload: unknown = {},
  republishDepth?: number,
) {
  const message = messageWith({ payload, ...(republishDepth && { republishDepth }) })
  const source = sourceOf(message, () => 'id')
  return compile(republish).apply(scopeOf(message), Buffer.from('output'), source)
}

describe('the topic', () => {
  test.each<[string, object]>([
    ['t', { topic: 't' }],
    ['devices/${id}/${topic(2)}', { topic: 'devices/7/b' }],
    ['$$aws/things/x/shadow/update', { topic: '$aws/things/x/shadow/update' }],
    ['$$aws/rules/other/x/y', { topic: 'x/y', basicIngestRule: 'other' }],
    ['$$aws/rules/other', { topic: '', basicIngestRule: 'other' }],
    ['${reserved}', { topic: '$aws/events' }],
    ['/', { topic: '/' }],
    ['cost in $', { topic: 'cost in $' }],
  ])('%s gives %j', (topic, members) => {
    const outcome = apply({ topic }, { id: 7, reserved: '$$aws/events' })
    expect(outcome).toMatchObject({
      ok: true,
      records: [],
      messages: [{ payload: Buffer.from('output'), qos: 0, republishDepth: 1, ...members }],
    })
  })

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['', /the topic is empty/],
    ['a/+', /no wildcards/],
    ['a/#', /no wildcards/],
    ['$aws/things/x/shadow/update', /is written \$\$/],
    ['$$SYS/x', /nothing can be republished to the topic "\$SYS\/x"/],
    ['$$share/a/b', /nothing can be republished/],
    ['$$aws/things/x/jobs/1/update', /nothing can be republished/],
    ['$$aws/rules/no-name/x', /not of the form/],
    ['1/2/3/4/5/6/7/8/9', /more than 7 slashes/],
    ['é'.repeat(129), /longer than 256 bytes/],
    ['a\0', /U\+0000/],
  ]

  test.each(wrong)('%j as it stands is refused with the rule', (topic, message) => {
    expect(() => compile({ topic })).toThrow(
      expect.objectContaining({
        code: 'InvalidRequestException',
        message: expect.stringMatching(
          new RegExp(`^actions\\[0\\]\\.republish\\.topic: .*${message.source}`),
        ) as string,
      }) as Error,
    )
  })

  test.each(wrong)('%j that comes out of a template fails the action', (topic, message) => {
    expect(apply({ topic: '${topic}' }, { topic })).toEqual({
      ok: false,
      failure: {
        code: 'TemplateFailed',
        message: expect.stringMatching(message) as string,
        where: 'actions[0].republish.topic',
        resource: topic,
      },
    })
  })
})

test.each([
  [9, true],
  [10, false],
])('a message that was republished %i times is sent on: %s', (depth, ok) => {
  expect(apply({}, {}, depth)).toMatchObject(
    ok
      ? { ok, messages: [{ republishDepth: depth + 1 }] }
      : { ok, failure: { code: 'ActionFailed', where: 'actions[0].republish', resource: 't' } },
  )
})

test.each([
  [131_072, true],
  [131_073, false],
])('an output of %i bytes is a message: %s', (bytes, ok) => {
  const scope = scopeOf(messageWith())
  const source = sourceOf(messageWith(), () => 'id')
  expect(compile({}).apply(scope, Buffer.alloc(bytes), source)).toMatchObject({ ok })
})

describe('a header that expands to what it cannot hold fails the action', () => {
  test.each([
    ['payloadFormatIndicator', 'utf8_data'],
    ['contentType', 'x'.repeat(257)],
    ['responseTopic', 'a/+'],
    ['correlationData', 'no base64'],
    ['correlationData', Buffer.alloc(8_193).toString('base64')],
    ['messageExpiry', '1.5'],
    ['messageExpiry', '4294967296'],
    ['contentType', 'a\0b'],
    ['contentType', '\ud800'],
    ['responseTopic', 'a\0'],
  ])('%s', (name, text) => {
    expect(apply({ headers: { [name]: '${text}' } }, { text })).toMatchObject({
      ok: false,
      failure: { code: 'TemplateFailed', where: `actions[0].republish.headers.${name}` },
    })
  })

  test('userProperties of more than 8 KiB', () => {
    const userProperties = [{ key: 'k', value: '${text}' }]
    const given = { headers: { userProperties } }
    expect(apply(given, { text: 'x'.repeat(8_191) })).toMatchObject({ ok: true })
    expect(apply(given, { text: 'x'.repeat(8_192) })).toMatchObject({
      failure: { where: 'actions[0].republish.headers.userProperties' },
    })
  })

  test.each(['a\0b', '\udc00'])('a user property with a text of %j', (text) => {
    for (const [member, property] of [
      ['key', { key: '${text}', value: 'v' }],
      ['value', { key: 'k', value: '${text}' }],
    ] as const) {
      const userProperties = [{ key: 'k', value: 'a line\nand another' }, property]
      const where = `actions[0].republish.headers.userProperties[1].${member}`
      expect(apply({ headers: { userProperties } }, { text })).toMatchObject({
        ok: false,
        failure: { code: 'TemplateFailed', where },
      })
    }
  })

  test('one that cannot be read is refused with the rule', () => {
    expect(() => compile({ headers: { userProperties: [{ key: '${', value: '' }] } })).toThrow(
      /^actions\[0\]\.republish\.headers\.userProperties\[0\]\.key: /,
    )
  })
})
