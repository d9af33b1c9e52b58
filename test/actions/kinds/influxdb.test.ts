import { describe, expect, test } from 'vitest'
import { compileActions } from '../../../src/actions/compile-actions.ts'
import { shownCall } from '../../../src/aws/call/service-call.ts'
import { sourceOf } from '../../../src/engine/run-rule.ts'
import { deliveryDefaults as settings } from '../../../src/outbox/outbox.ts'
import { parsePayload } from '../../../src/rules/payload.ts'
import { messageWith, scopeOf } from '../../helpers/messages.ts'
import {
  apply,
  definitionOf,
  recordOf,
  refusalOf,
  roleArn,
  statement,
} from './service-action-fixtures.ts'

const destinationArn = 'arn:aws:iot:eu-west-1:123456789012:ruledestination/influxdb/1'

const influx = (fields: object) =>
  definitionOf('influxDB', {
    destinationArn,
    databaseName: 'plant',
    tableName: 'readings',
    ...fields,
  })

const linesOf = (fields: object, output: string, payload: unknown = {}): unknown =>
  recordOf(influx(fields), output, payload).call.parameters['lines']

/** Why a message fails the action, or `taken`. */
function problemOf(fields: object, output: string, payload: unknown = {}): string {
  const outcome = apply(influx(fields), output, payload)
  return outcome.ok ? 'taken' : outcome.failure.message
}

test('the call has the database, the organization and the precision', () => {
  const { call } = recordOf(
    influx({ organization: 'acme', timestampUnit: 'us' }),
    '{"timestamp":1,"t":1}',
  )
  expect(call).toEqual({
    operation: 'Write',
    parameters: {
      databaseName: 'plant',
      organization: 'acme',
      precision: 'us',
      lines: ['readings t=1i 1'],
    },
  })
})

describe('an element becomes a line', () => {
  test.each<[string, object, string, unknown, readonly string[]]>([
    [
      'with the types of its fields',
      {},
      '{"a":42,"b":-1,"c":18446744073709551615,"d":1.50,"e":1e-7,"f":true,"g":false,"timestamp":5}',
      {},
      ['readings a=42i,b=-1i,c=18446744073709551615u,d=1.50,e=1e-7,f=t,g=f 5'],
    ],
    [
      'with the bounds of integers',
      {},
      '{"a":9223372036854775807,"b":-9223372036854775808,"c":9223372036854775808,"timestamp":-1}',
      {},
      ['readings a=9223372036854775807i,b=-9223372036854775808i,c=9223372036854775808u -1'],
    ],
    [
      'with texts in quotes',
      {},
      '{"a":"say \\"x\\" \\\\ \\n, = é","timestamp":1}',
      {},
      ['readings a="say \\"x\\" \\\\ \n, = é" 1'],
    ],
    [
      'with objects and arrays as JSON, and without null',
      {},
      '{"a":{"b": [1, 2.0]},"c":null,"d":[],"timestamp":1}',
      {},
      ['readings a="{\\"b\\":[1,2.0]}",d="[]" 1'],
    ],
    [
      'with tags in the order of their names, and without empty ones',
      { tags: { z: '${site}', a: 'x y', n: '', 'k,e=y': 'v,w=x' } },
      '{"t":1,"timestamp":1}',
      { site: 's1' },
      [String.raw`readings,a=x\ y,k\,e\=y=v\,w\=x,z=s1 t=1i 1`],
    ],
    [
      'with a table and tags from the element, which are no fields then',
      { tableName: '@{meta.kind}', tags: { device: '@{id}', floor: '@{meta.floor}', x: '@{no}' } },
      '[{"id":"d1","meta":{"kind":"temp, in","floor":2},"t":1,"timestamp":1},{"id":7,"meta":{"kind":"b"},"t":2,"timestamp":2}]',
      {},
      [String.raw`temp\,\ in,device=d1,floor=2 t=1i 1`, 'b,device=7 t=2i 2'],
    ],
    [
      'with names and a table from templates',
      { tableName: '${kind}', tags: { 'of_${kind}': '${kind}' } },
      '{"t":1,"timestamp":1}',
      { kind: 'k' },
      ['k,of_k=k t=1i 1'],
    ],
  ])('%s', (_, fields, output, payload, lines) => {
    expect(linesOf(fields, output, payload)).toEqual(lines)
  })
})

describe('an element that is no point fails the action', () => {
  test.each<[string, object, string, unknown, RegExp]>([
    ['no time', {}, '{"t":1}', {}, /no integer "timestamp"/],
    ['a time with a fraction', {}, '{"t":1,"timestamp":1.0}', {}, /no integer "timestamp"/],
    ['a time as a text', {}, '{"t":1,"timestamp":"1"}', {}, /no integer "timestamp"/],
    ['no field', { tags: { t: '@{t}' } }, '{"t":1,"timestamp":1}', {}, /there is no field/],
    ['only null', {}, '{"t":null,"timestamp":1}', {}, /there is no field/],
    ['an integer of 65 bits', {}, '{"t":18446744073709551616,"timestamp":1}', {}, /more than 64/],
    ['an empty name', {}, '{"":1,"timestamp":1}', {}, /a field has an empty name/],
    ['a name of InfluxDB', {}, '{"_t":1,"timestamp":1}', {}, /begins with "_"/],
    ['the second', {}, '[{"t":1,"timestamp":1},{"t":1}]', {}, /^element 1: /],
    ['a text', {}, '"text"', {}, /neither an object nor an array/],
    ['an array of numbers', {}, '[1]', {}, /neither an object nor an array/],
    ['nothing', {}, '[]', {}, /neither an object nor an array/],
    ['no table', { tableName: '@{k}' }, '{"t":1,"timestamp":1}', {}, /tableName has an empty name/],
    ['a comment', { tableName: '${k}' }, '{"t":1,"timestamp":1}', { k: '#' }, /begins with "#"/],
    [
      'a line break in a tag, which would begin another point',
      { tags: { a: '${k}' } },
      '{"t":1,"timestamp":1}',
      { k: 'x t=1 1\nother' },
      /the tag a holds a line break/,
    ],
    [
      'a line break in a name',
      {},
      '{"a\\nb":1,"timestamp":1}',
      {},
      /the name of a field holds a line break/,
    ],
    [
      'a backslash that would take the comma behind it',
      { tags: { a: '${k}' } },
      '{"t":1,"timestamp":1}',
      { k: 'x\\' },
      /the tag a ends with a backslash/,
    ],
    [
      'a backslash that InfluxDB takes for an escape, in a table',
      { tableName: '${k}' },
      '{"t":1,"timestamp":1}',
      { k: 'x\\"y' },
      /the name of tableName holds \\"/,
    ],
    [
      'a backslash that InfluxDB takes for an escape, in a field',
      {},
      '{"a\\\\,b":1,"timestamp":1}',
      {},
      /the name of a field holds \\,/,
    ],
    [
      'a tag that is a field',
      { tags: { t: 'x' } },
      '{"t":1,"timestamp":1}',
      {},
      /a tag and a field/,
    ],
    [
      'two tags of one name',
      { tags: { '${k}': '1', a: '2' } },
      '{"t":1,"timestamp":1}',
      { k: 'a' },
      /the tag a is there twice/,
    ],
    [
      'too many columns',
      {},
      JSON.stringify({
        ...Object.fromEntries(Array.from({ length: 250 }, (_, n) => [`f${n}`, n])),
        timestamp: 1,
      }),
      {},
      /251 columns; at most 250/,
    ],
  ])('%s', (_, fields, output, payload, problem) => {
    expect(problemOf(fields, output, payload)).toMatch(problem)
  })
})

describe('a rule is refused', () => {
  test.each<[string, object, RegExp]>([
    ['with a path beside other text', { tags: { a: '@{b}-${c}' } }, /tags\.a.*@\{/],
    ['with a path in the name of a tag', { tags: { '@{a}': 'b' } }, /tags\.@\{a\}\.name.*@\{/],
    ['with a path for the database', { databaseName: '@{a}' }, /databaseName takes neither/],
    [
      'with a template for the organization',
      { organization: '${a}' },
      /organization takes neither/,
    ],
    ['with a table of InfluxDB itself', { tableName: '_internal' }, /tableName/],
  ])('%s', (_, fields, reason) => {
    expect(refusalOf(influx(fields))).toMatch(reason)
  })
})

const compileErrorAction = (fields: object) => {
  const payload = { sql: "SELECT * FROM 'a/b'", actions: [], errorAction: influx(fields) }
  const context = { ruleName: 'r', region: 'eu-west-1', deliveryOf: () => ({ settings }) }
  return compileActions(parsePayload(payload), statement, context).errorAction
}

describe('as error action', () => {
  test.each<[string, string]>([
    ['ms', '1700000000000'],
    ['s', '1700000000'],
    ['us', '1700000000000000'],
    ['ns', '1700000000000000000'],
  ])('the whole document is a point at the time of the message, in %s', (timestampUnit, time) => {
    const message = messageWith({ payload: {}, timestampMs: 1_700_000_000_000 })
    const source = sourceOf(message, () => 'message-id')
    const document = Buffer.from('{"ruleName":"r","failures":[]}')
    const outcome = compileErrorAction({ timestampUnit })?.apply(scopeOf(message), document, source)
    if (!outcome?.ok) throw new Error(outcome?.failure.message)
    const [{ call = '', data } = { data: document }] = outcome.records
    expect(shownCall(call, data).parameters['lines']).toEqual([
      `readings ruleName="r",failures="[]" ${time}`,
    ])
  })

  test.each<[string, object, RegExp]>([
    ['a path', { tags: { a: '@{b}' } }, /errorAction\.influxDB\.tags\.a: .*no @\{/],
    ['batches', { batchConfig: {} }, /errorAction\.influxDB\.batchConfig: .*cannot batch/],
  ])('%s is refused', (_, fields, reason) => {
    expect(() => compileErrorAction(fields)).toThrow(reason)
  })
})

test('the role reads the secret of the destination', () => {
  const { destination } = recordOf(influx({}), '{"t":1,"timestamp":1}')
  expect(destination).toMatchObject({
    kind: 'influxDB',
    target: `${destinationArn}/plant`,
    credentials: { kind: 'role', roleArn },
  })
})
