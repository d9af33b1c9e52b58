import { describe, expect, test } from 'vitest'
import { compileActions } from '../../../src/actions/compile-actions.ts'
import type { ActionDelivery } from '../../../src/actions/action/action.ts'
import type { KinesisActionDefinition } from '../../../src/actions/kinds/kinesis.ts'
import { sourceOf } from '../../../src/engine/run-rule.ts'
import { deliveryDefaults as settings } from '../../../src/outbox/outbox.ts'
import { decodeRecord, encodeRecord } from '../../../src/outbox/store/record-codec.ts'
import { compileStatement } from '../../../src/sql/sql.ts'
import { messageWith, scopeOf } from '../../helpers/messages.ts'

const roleArn = 'arn:aws:iam::123456789012:role/write'

function compile(
  kinesis: Partial<KinesisActionDefinition>,
  delivery: Partial<ActionDelivery> = {},
) {
  const definition = { kinesis: { roleArn, streamName: 's', ...kinesis } }
  const statement = compileStatement("SELECT * FROM 'a/b'", '2016-03-23')
  const context = {
    ruleName: 'r',
    region: 'eu-west-1',
    deliveryOf: () => ({ settings, ...delivery }),
  }
  const [action] = compileActions({ actions: [definition] }, statement, context).actions
  if (!action) throw new Error('no action was compiled')
  return action
}

function apply(
  kinesis: Partial<KinesisActionDefinition>,
  payload: unknown = {},
  { output = 'data', delivery = {} }: { output?: string; delivery?: Partial<ActionDelivery> } = {},
) {
  const message = messageWith({ payload, traceId: 'trace' })
  const source = sourceOf(message, () => 'uuid-2')
  return compile(kinesis, delivery).apply(scopeOf(message), Buffer.from(output), source)
}

/** The destination of the one record that comes of a message. */
function destinationOf(
  kinesis: Partial<KinesisActionDefinition>,
  delivery: Partial<ActionDelivery>,
  payload: unknown = {},
) {
  const outcome = apply(kinesis, payload, { delivery })
  return outcome.ok ? outcome.records[0]?.destination : outcome.failure
}

test('a record has destination, key, data, rule and action', () => {
  expect(apply({ streamName: 'temps', partitionKey: '${k}' }, { k: 'sensor-7' })).toEqual({
    ok: true,
    records: [
      {
        destination: {
          kind: 'kinesis',
          region: 'eu-west-1',
          streamName: 'temps',
          credentials: { kind: 'role', roleArn },
          settings,
        },
        partitionKey: 'sensor-7',
        data: Buffer.from('data'),
        ruleName: 'r',
        actionIndex: 0,
        source: {
          messageId: 'trace',
          traceId: 'trace',
          topic: 'a/b',
          clientId: 'c1',
          timestampMs: 1_700_000_000_000,
          payload: Buffer.from('{"k":"sensor-7"}'),
        },
      },
    ],
    messages: [],
  })
})

test('without a partition key each record gets a UUID', () => {
  expect(apply({})).toMatchObject({ ok: true, records: [{ partitionKey: 'uuid-1' }] })
})

test('streams that are named without a template are known in advance', () => {
  expect(compile({ streamName: 'temps' }).constantStreams).toMatchObject([{ streamName: 'temps' }])
  expect(compile({ streamName: '${topic()}' }).constantStreams).toEqual([])
})

describe('an expanded template that does not fit fails the action and names the field', () => {
  test.each<[string, Partial<KinesisActionDefinition>, unknown, object]>([
    [
      'a stream name with a slash',
      { streamName: '${topic()}' },
      {},
      { code: 'TemplateFailed', where: 'actions[0].kinesis.streamName' },
    ],
    [
      'an empty stream name',
      { streamName: '${nope}' },
      {},
      { code: 'TemplateFailed', where: 'actions[0].kinesis.streamName' },
    ],
    [
      'an empty partition key',
      { partitionKey: '${nope}' },
      {},
      { code: 'TemplateFailed', where: 'actions[0].kinesis.partitionKey' },
    ],
    [
      'a partition key of 257 characters',
      { partitionKey: '${k}' },
      { k: '€'.repeat(257) },
      { code: 'TemplateFailed', where: 'actions[0].kinesis.partitionKey' },
    ],
  ])('%s', (_what, definition, payload, failure) => {
    expect(apply(definition, payload)).toEqual({
      ok: false,
      failure: expect.objectContaining(failure) as object,
    })
  })

  test('256 characters beyond the basic plane are 256 characters', () => {
    expect(apply({ partitionKey: '${k}' }, { k: '😀'.repeat(256) })).toMatchObject({ ok: true })
  })

  test('a record over 10 MiB with its key fails the action', () => {
    const output = 'x'.repeat(10_485_760 - 1)
    expect(apply({ partitionKey: 'k' }, {}, { output })).toMatchObject({ ok: true })
    expect(apply({ partitionKey: 'kk' }, {}, { output })).toMatchObject({
      ok: false,
      failure: { code: 'ActionFailed', where: 'actions[0].kinesis' },
    })
  })
})

describe('delivery settings', () => {
  const arn = 'arn:aws:kinesis:us-west-2:210987654321:stream/far'

  test('an ARN names region and account, in the payload or beside it', () => {
    const far = { region: 'us-west-2', streamName: 'far', streamArn: arn }
    expect(destinationOf({ streamName: arn }, {})).toMatchObject(far)
    expect(destinationOf({ streamName: 'near' }, { streamArn: arn })).toMatchObject(far)
    expect(compile({}, { streamArn: arn }).constantStreams).toMatchObject([{ streamArn: arn }])
  })

  test('an ARN may be a template', () => {
    const streamArn = arn.replace('far', '${name}')
    expect(destinationOf({}, { streamArn }, { name: 'x' })).toMatchObject({ streamName: 'x' })
    expect(destinationOf({}, { streamArn }, { name: 'x/y' })).toMatchObject({
      code: 'TemplateFailed',
      where: 'actions[0].delivery.streamArn',
    })
  })

  test('region, endpoint and external id', () => {
    const delivery = { region: 'eu-west-3', endpoint: 'https://k.example', externalId: 'our-id' }
    expect(destinationOf({}, delivery)).toMatchObject({
      region: 'eu-west-3',
      endpoint: 'https://k.example',
      credentials: { kind: 'role', roleArn, externalId: 'our-id' },
    })
  })

  test('credentials of the process instead of the role', () => {
    expect(destinationOf({}, { credentials: 'process' })).toMatchObject({
      credentials: { kind: 'process' },
    })
  })

  test('a destination is the same object again, so that it is compared once', () => {
    const action = compile({ streamName: '${s}' })
    const destinations = ['one', 'two', 'one'].map((s) => {
      const message = messageWith({ payload: { s } })
      const outcome = action.apply(
        scopeOf(message),
        Buffer.of(),
        sourceOf(message, () => 'id'),
      )
      return outcome.ok ? outcome.records[0]?.destination : undefined
    })
    expect(destinations[2]).toBe(destinations[0])
    expect(destinations[1]).toMatchObject({ streamName: 'two' })
    expect(Object.isFrozen(destinations[0])).toBe(true)
  })

  test.each([
    ['0', true],
    ['340282366920938463463374607431768211455', true],
    ['340282366920938463463374607431768211456', false],
    ['00', false],
    ['-1', false],
    ['1e3', false],
    ['', false],
  ])('an explicit hash key that comes out as %j', (hash, taken) => {
    const delivery = { explicitHashKey: '${hash}' }
    const outcome = apply({ partitionKey: 'k' }, { hash }, { delivery })
    expect(outcome).toMatchObject(
      taken
        ? { ok: true, records: [{ partitionKey: 'k', explicitHashKey: hash }] }
        : { ok: false, failure: { where: 'actions[0].delivery.explicitHashKey' } },
    )
  })

  test.each<[string, Partial<KinesisActionDefinition>, Partial<ActionDelivery>, RegExp]>([
    [
      'an ARN of something else',
      {},
      { streamArn: arn.replace('kinesis', 'sqs') },
      /^actions\[0\]\.delivery\.streamArn: .* is not the ARN of a stream/,
    ],
    [
      'an ARN without an account',
      { streamName: arn.replace('210987654321', '') },
      {},
      /^actions\[0\]\.kinesis\.streamName: .* is not the ARN of a stream/,
    ],
    [
      'an ARN of another region than the one that is set',
      { streamName: arn },
      { region: 'eu-west-3' },
      /^actions\[0\]\.kinesis\.streamName: .* is in us-west-2, .* say eu-west-3/,
    ],
    [
      'a hash key that is none',
      {},
      { explicitHashKey: 'x' },
      /^actions\[0\]\.delivery\.explicitHashKey: "x" is not a hash key/,
    ],
  ])('%s is refused', (_what, definition, delivery, message) => {
    expect(() => compile(definition, delivery)).toThrow(
      expect.objectContaining({
        code: 'InvalidRequestException',
        message: expect.stringMatching(message) as string,
      }) as Error,
    )
  })
})

describe('constants that are wrong are refused when the rule is created', () => {
  test.each<[string, Partial<KinesisActionDefinition>, string, RegExp]>([
    [
      'a constant stream name that Kinesis refuses',
      { streamName: 'a/b' },
      'InvalidRequestException',
      /^actions\[0\]\.kinesis\.streamName: "a\/b" is not a stream name/,
    ],
    [
      'a template that cannot be read',
      { partitionKey: '${topic(}' },
      'SqlParseException',
      /^actions\[0\]\.kinesis\.partitionKey: /,
    ],
  ])('%s', (_what, definition, code, message) => {
    expect(() => compile(definition)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error,
    )
  })
})

test.each([
  ['a\u{d83d}', 'a\u{fffd}'],
  ['\u{de00}\u{d83d}b', '\u{fffd}\u{fffd}b'],
  ['\u{1f600}\u{fffd}', '\u{1f600}\u{fffd}'],
])('a partition key is the same in memory and on disk: %j', (k, partitionKey) => {
  const outcome = apply({ partitionKey: '${k}' }, { k })
  expect(outcome).toMatchObject({ records: [{ partitionKey }] })
  if (!outcome.ok) return
  const stored = outcome.records.map((record) => encodeRecord(record, 0))
  expect(stored.map((value) => decodeRecord(value).partitionKey)).toEqual([partitionKey])
})
