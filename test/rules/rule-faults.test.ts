import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { actionKinds, compileActions } from '../../src/actions/compile-actions.ts'
import { SluiceError, faultsIn, lineOf } from '../../src/base/errors.ts'
import { createRuleCompiler } from '../../src/rules/compile-rule.ts'
import { readPayload } from '../../src/rules/payload.ts'
import { compileStatement } from '../../src/sql/sql.ts'
import { roleArn } from './rule-fixtures.ts'

const compile = createRuleCompiler(
  { compileStatement, compileActions },
  { region: 'us-east-1', accountId: '123456789012' },
)

function faultsOf(payload: unknown): readonly SluiceError[] {
  try {
    compile({ name: 'r', ...readPayload(payload), createdAt: 0, tags: {} })
    return []
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    return faultsIn(thrown)
  }
}

function refusalOf(payload: unknown): SluiceError {
  try {
    compile({ name: 'r', ...readPayload(payload), createdAt: 0, tags: {} })
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown
  }
  throw new Error('the rule was taken')
}

const shown = (fault: SluiceError) => `${fault.field ?? ''} ${fault.message.split('\n', 1)[0]}`

/** A payload that can be changed. */
interface Draft {
  [member: string]: unknown
  actions: Record<string, Record<string, unknown>>[]
  errorAction: Record<string, Record<string, unknown>>
}

const goodRule = (): Draft => ({
  sql: "SELECT temp, upper(id) AS id FROM 'dt/+/x' WHERE temp > 1",
  awsIotSqlVersion: '2016-03-23',
  description: 'd',
  actions: [
    { kinesis: { roleArn, streamName: 's', partitionKey: '${topic()}' } },
    { republish: { roleArn, topic: 'out', qos: 0, headers: { contentType: 'a' } } },
    { dynamoDB: { roleArn, tableName: 'table', hashKeyField: 'k', hashKeyValue: '${id}' } },
    { s3: { roleArn, bucketName: 'bucket', key: '${topic()}' } },
    {
      openSearch: {
        roleArn,
        endpoint: 'https://a.es.amazonaws.com',
        index: 'i',
        type: 't',
        id: 'x',
      },
    },
    {
      http: {
        url: 'https://a.example/b',
        confirmationUrl: 'https://a.example',
        headers: [{ key: 'a', value: '${topic()}' }],
      },
    },
  ],
  errorAction: { sqs: { roleArn, queueUrl: 'https://sqs.us-east-1.amazonaws.com/123456789012/q' } },
})

type Injector = readonly [
  name: string,
  inject: (rule: Draft) => void,
  named: RegExp,
  /** Injectors of one group change the same member. */
  group: string,
]
const member = (rule: Draft, index: number) => Object.values(rule.actions[index] ?? {})[0] ?? {}
const injectors: readonly Injector[] = [
  ['broken SQL', (rule) => (rule['sql'] = 'SELEC'), /^sql .*\(line 1, column 1\)/, 'sql'],
  [
    'a function',
    (rule) => (rule['sql'] = "SELECT uper(id) FROM 'a'"),
    /unknown function uper.*upper/,
    'sql',
  ],
  ['no SQL', (rule) => delete rule['sql'], /^sql sql is missing/, 'sql'],
  [
    'a version',
    (rule) => (rule['awsIotSqlVersion'] = '1'),
    /^awsIotSqlVersion .* one of/,
    'version',
  ],
  ['a flag', (rule) => (rule['ruleDisabled'] = 'no'), /^ruleDisabled .* a boolean/, 'flag'],
  ['a description', (rule) => (rule['description'] = 1), /^description .* a string/, 'description'],
  ['a member', (rule) => (rule['colour'] = 1), /^colour .* not a known member/, 'member'],
  [
    'no role',
    (rule) => delete member(rule, 0)['roleArn'],
    /actions\[0\]\.kinesis\.roleArn is/,
    'k',
  ],
  [
    'the member of the guide',
    (rule) => {
      member(rule, 0)['roleARN'] = member(rule, 0)['roleArn']
      delete member(rule, 0)['roleArn']
    },
    /^actions\[0\].kinesis.roleARN .* the API calls it roleArn/,
    'k',
  ],
  [
    'a stream',
    (rule) => (member(rule, 0)['streamName'] = '/'),
    /0\].kinesis.streamName: "\/"/,
    'ks',
  ],
  [
    'a template',
    (rule) => (member(rule, 0)['partitionKey'] = '${topic(}'),
    /^actions\[0\].kinesis.partitionKey .*\(line 1, column 9\)/,
    'key',
  ],
  ['a topic', (rule) => (member(rule, 1)['topic'] = '#'), /^actions\[1\].republish.topic/, 'topic'],
  ['a QoS', (rule) => (member(rule, 1)['qos'] = 2), /^actions\[1\].republish.qos .* 0, 1/, 'qos'],
  [
    'a header',
    (rule) => (member(rule, 1)['headers'] = { contentType: '${nope()}' }),
    /^actions\[1\].republish.headers.contentType .*nope/,
    'header',
  ],
  [
    'half a key',
    (rule) => (member(rule, 2)['rangeKeyField'] = 'r'),
    /rangeKeyValue is missing/,
    'r',
  ],
  [
    'a member of another type',
    (rule) => (member(rule, 2)['rangeKeyValue'] = 1),
    /^actions\[2\].dynamoDB.rangeKeyValue .* a string/,
    'r',
  ],
  [
    'a variable',
    (rule) => (member(rule, 3)['key'] = '${lower(topic())}${@@}'),
    /^actions\[3\].s3.key .*\(line 1, column \d+\)/,
    's3 key',
  ],
  [
    'no bucket',
    (rule) => (member(rule, 3)['bucketName'] = 7),
    /3\].s3.bucketName .* a string/,
    'b',
  ],
  [
    'another case',
    (rule) => (rule.actions[4] = { opensearch: member(rule, 4) }),
    /^actions\[4\].opensearch .* did you mean openSearch\?/,
    'kind',
  ],
  [
    'an index',
    (rule) => (member(rule, 4)['index'] = '${nope()}'),
    /^actions\[4\].*index .*nope/,
    'i',
  ],
  [
    'a URL',
    (rule) => (member(rule, 5)['url'] = 'https://b.example'),
    /^actions\[5\].http.url: .* does not begin with|^actions\[5\].http.url .*begin/,
    'url',
  ],
  ['no URL', (rule) => delete member(rule, 5)['url'], /^actions\[5\].http.url .* missing/, 'url'],
  [
    'a header of the client',
    (rule) => (member(rule, 5)['headers'] = [{ key: 'Host', value: '' }]),
    /^actions\[5\].http.headers\[0\].key .*client itself/,
    'h',
  ],
  [
    'an unknown action',
    (rule) => rule.actions.push({ teleport: {} }),
    /^actions\[6\].teleport .* not an action of AWS IoT: it has/,
    'new',
  ],
  [
    'two actions',
    (rule) => (rule.actions[6] = { a: {}, b: {} }),
    /^actions\[6\] .* names 2/,
    'new',
  ],
  [
    'an error action',
    (rule) => ((rule.errorAction['sqs'] ?? {})['queueUrl'] = 'q'),
    /^errorAction.sqs.queueUrl/,
    'error',
  ],
  [
    'a role of the error action',
    (rule) => ((rule.errorAction['sqs'] ?? {})['roleArn'] = 'r'),
    /^errorAction.sqs.roleArn .* must match/,
    'error role',
  ],
]

describe('a rule with several faults', () => {
  test('names all of them, and nothing else', () => {
    expect(faultsOf(goodRule())).toEqual([])
    fc.assert(
      fc.property(fc.shuffledSubarray([...injectors], { minLength: 1 }), (chosen) => {
        const independent = chosen.filter(
          ([, , , group], at) => chosen.findIndex(([, , , other]) => other === group) === at,
        )
        const rule = goodRule()
        // The name of an action changes last, because others find their action by its place.
        for (const [, inject] of independent) inject(rule)
        const faults = faultsOf(rule).map(shown)
        const extra = independent.some(([name]) => name === 'two actions') ? 2 : 0
        for (const [, , named] of independent) {
          expect(faults.filter((text) => named.test(text))).toHaveLength(1)
        }
        expect(faults).toHaveLength(independent.length + extra)
        expect(faultsOf(rule).map(shown)).toEqual(faults)
      }),
      { numRuns: 200 },
    )
  })

  test('names them in the order of the payload, with codes and places', () => {
    const { code, message } = refusalOf({
      errorAction: { sns: { roleArn: 'me', targetArn: 't' } },
      actions: [
        { kinesis: { roleArn, streamName: 's', partitionKey: '${a} ${uper(a)} ${lowr(b)}' } },
        { s3: { roleArn, bucket: 'bucket', key: '${@x}' } },
      ],
      sql: "SET @y = nope() SELECT uper(a), cast(b as Colour) FROM 'a'",
      awsIotSqlVersion: '2016-03-23',
    })
    expect(code).toBe('SqlParseException')
    expect(message.split('\n').filter((line) => !line.startsWith('  '))).toEqual([
      '9 problems:',
      'SqlParseException: sql: unknown function nope() (line 1, column 10)',
      'SqlParseException: sql: unknown function uper(): did you mean upper()? (line 1, column 24)',
      'SqlParseException: sql: unknown type Colour (line 1, column 43)',
      'SqlParseException: actions[0].kinesis.partitionKey: unknown function uper(): did you mean ' +
        'upper()? (line 1, column 8)',
      'SqlParseException: actions[0].kinesis.partitionKey: unknown function lowr(): did you mean ' +
        'lower()? (line 1, column 19)',
      'InvalidRequestException: actions[1].s3.bucket is not a known member: the API calls it bucketName',
      'SqlParseException: actions[1].s3.key: the variable @x is not set before its use: did you ' +
        'mean @y? (line 1, column 3)',
      expect.stringMatching(/^InvalidRequestException: errorAction\.sns\.roleArn must match /),
      'InvalidRequestException: errorAction.sns.targetArn: "t" is not the ARN of a topic or of a ' +
        'mobile endpoint: arn:aws:sns:<region>:<12 digits>:<name>',
    ])
  })

  test('lists 20, and counts the others', () => {
    const actions = Array.from({ length: 9 }, () => ({
      s3: { bucketName: 1, key: '${', roleArn: '' },
    }))
    const refusal = refusalOf({ sql: '', actions })
    expect(refusal.message).toMatch(/^28 problems:\n(?:.*\n)+and 8 more$/)
    expect(lineOf(refusal)).toMatch(/^SqlParseException: sql: [^\n]*; and 8 more$/)
    // A name, a statement and a template with faults cost no more than they are long.
    const many = refusalOf({
      sql: `SELECT ${'f(), '.repeat(6_000)}1`,
      actions: [{ kinesis: { roleArn, streamName: 's', ['x'.repeat(60_000)]: 1 } }],
    })
    expect(many.message).toMatch(/^6001 problems:/)
    expect(many.message.length).toBeLessThan(8_000)
  })

  test.each([
    ['opensearch', 'openSearch'],
    ['OpenSearch', 'openSearch'],
    ['dynamodb', 'dynamoDB'],
    ['DynamoDBv2', 'dynamoDBv2'],
    ['cloudwatchlogs', 'cloudwatchLogs'],
    ['cloud_watch_metric', 'cloudwatchMetric'],
    ['s3Bucket', 's3'],
    ['lambdaFunction', 'lambda'],
    ['stepfunction', 'stepFunctions'],
    ['kinesys', 'kinesis'],
    ['sitewise', 'iotSiteWise'],
    ['cloudwatch', 'cloudwatchAlarm or cloudwatchLogs or cloudwatchMetric'],
  ])('an action %s was meant to be %s', (name, meant) => {
    const [first] = faultsOf({ ...goodRule(), actions: [{ [name]: {} }] })
    expect(first?.message).toMatch(
      new RegExp(`^actions\\[0\\]\\.${name} .*(?:did you mean|the API calls it) ${meant}\\??$`),
    )
  })

  test('each action is known by its name in lower case', () => {
    for (const kind of actionKinds) {
      const lower = kind.toLowerCase()
      if (lower === kind) continue
      const [first] = faultsOf({ ...goodRule(), actions: [{ [lower]: {} }] })
      expect(first?.message).toContain(`did you mean ${kind}?`)
    }
  })
})
