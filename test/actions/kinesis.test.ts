import { describe, expect, test } from 'vitest'
import { compileActions } from '../../src/actions/compile-actions.ts'
import type { KinesisActionDefinition } from '../../src/actions/kinesis.ts'
import { compileStatement } from '../../src/sql/sql.ts'
import { messageWith, scopeOf } from '../helpers/messages.ts'

const roleArn = 'arn:aws:iam::123456789012:role/write'
const context = { ruleName: 'r', region: 'eu-west-1' }

function compile(kinesis: Partial<KinesisActionDefinition>) {
  const definition = { kinesis: { roleArn, streamName: 's', ...kinesis } }
  const statement = compileStatement("SELECT * FROM 'a/b'", '2016-03-23')
  const [action] = compileActions([definition], statement, context)
  if (!action) throw new Error('no action was compiled')
  return action
}

function apply(kinesis: Partial<KinesisActionDefinition>, payload: unknown = {}, output = 'data') {
  return compile(kinesis).apply(scopeOf(messageWith({ payload })), Buffer.from(output))
}

test('a record names destination, key, data and whose it is', () => {
  expect(apply({ streamName: 'temps', partitionKey: '${k}' }, { k: 'sensor-7' })).toEqual({
    ok: true,
    records: [
      {
        destination: { region: 'eu-west-1', streamName: 'temps', roleArn },
        partitionKey: 'sensor-7',
        data: Buffer.from('data'),
        ruleName: 'r',
        actionIndex: 0,
      },
    ],
  })
})

test('without a partition key each record gets a UUID', () => {
  expect(apply({})).toMatchObject({ ok: true, records: [{ partitionKey: 'uuid-1' }] })
})

test('streams that are named without a template are known in advance', () => {
  expect(compile({ streamName: 'temps' }).constantStreamNames).toEqual(['temps'])
  expect(compile({ streamName: '${topic()}' }).constantStreamNames).toEqual([])
})

describe('what a template expands to may not fit: the action fails and says which field', () => {
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

  test('a record over 1 MiB, its key counted', () => {
    const data = 'x'.repeat(1_048_576 - 1)
    expect(apply({ partitionKey: 'k' }, {}, data)).toMatchObject({ ok: true })
    expect(apply({ partitionKey: 'kk' }, {}, data)).toMatchObject({
      ok: false,
      failure: { code: 'ActionFailed', where: 'actions[0].kinesis' },
    })
  })
})

describe('what can be seen to be wrong is refused when the rule is made', () => {
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
