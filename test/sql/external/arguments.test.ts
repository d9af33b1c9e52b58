/** What each external function makes of its arguments, and which statements are refused. */
import { describe, expect, test } from 'vitest'
import { SluiceError } from '../../../src/base/errors.ts'
import { compileStatement } from '../../../src/sql/sql.ts'
import type { SqlVersion } from '../../../src/sql/sql.ts'
import { compileTemplate } from '../../../src/sql/template.ts'
import { valueOf } from './evaluate-externally.ts'

const role = 'arn:aws:iam::123456789012:role/r'
const payload = '{"id":"d1","n":12345678901234567890,"b":true,"o":{"k":[1,2.50]},"s":"x","z":null}'

describe('requests', () => {
  test.for<[string, object | undefined]>([
    [
      "aws_lambda('arn:aws:lambda:us-east-1:1:function:f', {'payload': o})",
      {
        function: 'aws_lambda',
        functionArn: 'arn:aws:lambda:us-east-1:1:function:f',
        inputJson: '{"payload":{"k":[1,2.50]}}',
      },
    ],
    ["aws_lambda('f', *)", { function: 'aws_lambda', functionArn: 'f', inputJson: payload }],
    ["aws_lambda('f', s)", { function: 'aws_lambda', functionArn: 'f', inputJson: '"x"' }],
    ["aws_lambda('f', z)", { function: 'aws_lambda', functionArn: 'f', inputJson: 'null' }],
    ["aws_lambda('f', missing)", undefined],
    ["aws_lambda('f')", undefined],
    [
      `get_dynamodb('t', 'pk', id, '${role}')`,
      {
        function: 'get_dynamodb',
        tableName: 't',
        partitionKey: { name: 'pk', type: 'S', text: 'd1' },
        roleArn: role,
      },
    ],
    [
      `get_dynamodb('t', 'pk', n, 'sk', b, '${role}')`,
      {
        function: 'get_dynamodb',
        tableName: 't',
        partitionKey: { name: 'pk', type: 'N', text: '12345678901234567890' },
        sortKey: { name: 'sk', type: 'S', text: 'true' },
        roleArn: role,
      },
    ],
    [`get_dynamodb('t', 'pk', missing, '${role}')`, undefined],
    [`get_dynamodb('t', 'pk', z, '${role}')`, undefined],
    [`get_dynamodb('t', 'pk', id, 'sk', '${role}')`, undefined],
    [
      `get_secret('s', 'SecretString', 'k', '${role}')`,
      {
        function: 'get_secret',
        secretId: 's',
        secretType: 'SecretString',
        key: 'k',
        roleArn: role,
      },
    ],
    [
      `get_secret('s', 'SecretBinary', '${role}')`,
      { function: 'get_secret', secretId: 's', secretType: 'SecretBinary', roleArn: role },
    ],
    [`get_secret('s', s, '${role}')`, undefined],
    [
      `get_thing_shadow(id, 'named', '${role}')`,
      { function: 'get_thing_shadow', thingName: 'd1', shadowName: 'named', roleArn: role },
    ],
    [
      `get_thing_shadow(id, '${role}')`,
      { function: 'get_thing_shadow', thingName: 'd1', roleArn: role },
    ],
    [
      `get_registry_data('DescribeThing', id, concat('arn:aws:iam::', accountid(), ':role/r'))`,
      {
        function: 'get_registry_data',
        operation: 'DescribeThing',
        thingName: 'd1',
        roleArn: role,
      },
    ],
    [
      "decode(*, 'proto', 'bucket', 'key.desc', 'file', 'pkg.Type')",
      {
        function: 'decode',
        base64: Buffer.from(payload).toString('base64'),
        bucketName: 'bucket',
        objectKey: 'key.desc',
        protoName: 'file',
        messageType: 'pkg.Type',
      },
    ],
    [
      "decode(s, 'proto', 'bucket', 'key.desc', 'file', 'Type')",
      {
        function: 'decode',
        base64: 'x',
        bucketName: 'bucket',
        objectKey: 'key.desc',
        protoName: 'file',
        messageType: 'Type',
      },
    ],
    ["decode(missing, 'proto', 'bucket', 'key.desc', 'file', 'Type')", undefined],
  ])('%s', async ([expression, request]) => {
    const { requests, output, isSynchronous } = await valueOf(expression, { payload })
    expect(requests).toEqual(request === undefined ? [] : [request])
    expect(output).toBe(request === undefined ? '' : '1')
    expect(isSynchronous).toBe(request === undefined)
  })

  test('a payload that is not JSON is no input of aws_lambda, but one of decode', async () => {
    const binary = Buffer.from([0xff, 0x00])
    const lambda = await valueOf("aws_lambda('f', *)", { payload: binary })
    expect(lambda.requests).toEqual([])
    const decoded = await valueOf("decode(*, 'proto', 'b', 'k', 'f', 'T')", { payload: binary })
    expect(decoded.requests).toMatchObject([{ base64: '/wA=' }])
  })
})

describe('refusals point to what is wrong', () => {
  const registry = `get_registry_data('DescribeThing', id, '${role}')`
  const proto = "decode(*, 'proto', 'b', 'k', 'f', 'T')"

  test.for<[string, string, string, SqlVersion?]>([
    [
      "machinelearning_predict('m', 'r', *)",
      'machinelearning_predict() cannot be used: AWS has closed Amazon Machine Learning',
      'machinelearning_predict',
    ],
    [
      "get_registry_data(a, 'x', 'r')",
      "the first argument of get_registry_data() must be 'DescribeThing' or 'ListThingGroupsForThing'",
      "a, 'x'",
    ],
    [
      "get_registry_data('ListThings', 'x', 'r')",
      "the first argument of get_registry_data() must be 'DescribeThing' or 'ListThingGroupsForThing'",
      "'ListThings'",
    ],
    [
      `concat(${registry}.a, ${registry}.b)`,
      'get_registry_data() can be called at most once in the rule',
      `${registry}.b`,
    ],
    [
      "get_secret('s', 'Secret', 'r')",
      "the secret type must be 'SecretString' or 'SecretBinary'",
      "'Secret'",
    ],
    [
      'aws_lambda(functionOfDevice, *)',
      'the function must be a text, concat() or accountid(), without attributes of the message',
      'functionOfDevice',
    ],
    [
      "decode(*, 'proto', bucketOfDevice, 'k', 'f', 'T')",
      'the bucket must be a text, concat() or accountid(), without attributes of the message',
      'bucketOfDevice',
    ],
    [
      "decode(*, 'proto', 'b', topic(2), 'f', 'T')",
      'the key must be a text, concat() or accountid(), without attributes of the message',
      'topic(2)',
    ],
    [
      "get_thing_shadow('t', roleOfDevice)",
      'the role must be a text, concat() or accountid(), without attributes of the message',
      'roleOfDevice',
    ],
    [
      "get_dynamodb('t', 'k', 'v', concat('arn:', device.role))",
      'the role must be a text, concat() or accountid(), without attributes of the message',
      'concat',
    ],
    [
      `[${proto}, ${proto}, ${proto.replace('*', 'c')}]`,
      'decode() can be called at most 2 times in a statement',
      'decode(c',
    ],
    [
      "decode(*, 'proto', 'b', 'k')",
      "decode() with 'proto' takes 6 arguments: value, scheme, bucket, key, file, type",
      "'proto'",
    ],
    [
      `get_or_default(a, aws_lambda('f', *))`,
      'the default of get_or_default() cannot call an external function',
      'aws_lambda',
    ],
    [
      `get_or_default(a, get_or_default(aws_lambda('f', *), 1))`,
      'the default of get_or_default() cannot call an external function',
      'get_or_default(aws',
    ],
    [
      "get_thing_shadow('t', 'r')",
      'get_thing_shadow() needs SQL version 2016-03-23; this rule has 2015-10-08',
      'get_thing_shadow',
      '2015-10-08',
    ],
  ])('%s', ([expression, problem, at, version = '2016-03-23']) => {
    const sql = `SELECT ${expression} AS v FROM 'a/b'`
    const column = sql.indexOf(at) + 1
    expect(refusalOf(() => compileStatement(sql, version))).toBe(
      `${problem} (line 1, column ${column})`,
    )
  })

  test('a variable cannot be a role', () => {
    const sql = "SET @r = 'arn' SELECT get_thing_shadow('t', @r) AS v FROM 'a/b'"
    expect(refusalOf(() => compileStatement(sql, '2016-03-23'))).toContain(
      'the role must be a text',
    )
  })

  test.for<[string, string, string]>([
    [
      `SELECT ${registry} AS r FROM 'a'`,
      `\${${registry}.thingName}`,
      'get_registry_data() can be called at most once in the rule (line 1, column 3)',
    ],
    [
      "SELECT * FROM 'a'",
      `\${${proto}.a}`,
      'this form of decode() cannot stand in a template (line 1, column 3)',
    ],
  ])('in the template of %s', ([sql, template, problem]) => {
    const statement = compileStatement(sql, '2016-03-23')
    expect(refusalOf(() => compileTemplate(template, statement))).toBe(problem)
  })

  test('a template may call what the statement does not', () => {
    const statement = compileStatement("SELECT * FROM 'a'", '2016-03-23')
    expect(compileTemplate(`\${${registry}.thingName}`, statement).constant).toBeUndefined()
  })
})

function refusalOf(compile: () => unknown): string {
  try {
    compile()
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown.message.split('\n')[0] ?? ''
    throw thrown
  }
  throw new Error('accepted')
}
