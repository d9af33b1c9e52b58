import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { temporaryFolder } from '../identity/identity-fixtures.ts'

const rule = (sql = "SELECT * FROM 'a'") =>
  JSON.stringify({ sql, actions: [], awsIotSqlVersion: '2016-03-23' })
const tests = (expected: object, payload: unknown = {}) =>
  JSON.stringify([{ name: 'it', message: { topic: 'a', payload }, expect: expected }])

async function check(
  files: Readonly<Record<string, string>>,
  environment: Record<string, string> = {},
) {
  const folder = await temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    if (text === 'folder') await mkdir(path.join(folder, name))
    else await writeFile(path.join(folder, name), text)
  }
  const host = createTestHost(environment)
  await createProgram(host).parseAsync(['check', folder], { from: 'user' })
  return { lines: host.written.stdout.split('\n').slice(0, -1), exitCode: host.exitCode() }
}

test('a folder of rules that are good', async () => {
  const files = { 'r.json': rule(), 'r.test.json': tests({ matched: true }), 'README.md': '' }
  expect(await check(files)).toEqual({
    lines: ['ok    r', '  ok    it', '1 rule, 1 test, 0 problems'],
    exitCode: 0,
  })
})

test('the sample rules have tests, and nothing is noted about them', async () => {
  const host = createTestHost()
  const folder = path.resolve(import.meta.dirname, '../../rules')
  await createProgram(host).parseAsync(['check', folder], { from: 'user' })
  expect(host.written.stdout).not.toMatch(/note|FAIL/)
  expect(host.exitCode()).toBe(0)
})

test('a rule without a version is warned about, and a test without a match says why', async () => {
  const sql = "SELECT * FROM 'a' WHERE temp > 50 AND on"
  const { lines } = await check({
    'r.json': JSON.stringify({ sql, actions: [] }),
    'r.test.json': tests({ matched: true }, { temp: 60 }),
  })
  expect(lines).toEqual([
    'ok    r',
    expect.stringMatching(/^ {2}note {2}the SQL version is 2015-10-08/),
    '  FAIL  it',
    '        it did not match and should: WHERE is Undefined, not true',
    expect.stringMatching(/^ {10}temp > 50 AND on {2}-> {2}Undefined {2}\(.*on is Undefined\)/),
    expect.stringMatching(/^ {12}temp > 50 {2}-> {2}true/),
    expect.stringMatching(/^ {14}temp {2}-> {2}60/),
    expect.stringMatching(/^ {12}on {2}-> {2}Undefined {2}\(the payload has no member on\)/),
    '1 rule, 1 test, 1 problem',
  ])
})

describe('what the lab would ignore is a problem', () => {
  const failing =
    "SELECT get_secret('s', 'SecretString', 'k', 'arn:aws:iam::1:role/r') AS s FROM 'a'"
  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    [
      'tests of a rule that is not there',
      { 'r.test.json': tests({ matched: true }) },
      /^FAIL {2}r\.test\.json: there is no rule r\.json/,
    ],
    [
      'a file whose name is no name of a rule',
      { 'my-rule.json': rule() },
      /^FAIL {2}my-rule\.json: .*letters, digits and _.*ignores/,
    ],
    [
      'tests under such a name',
      { 'my-rule.test.json': tests({ matched: true }) },
      /^FAIL {2}my-rule\.test\.json: .*letters, digits and _/,
    ],
    [
      'tests that cannot be read',
      { 'r.json': rule(), 'r.test.json': 'folder' },
      /^FAIL {2}r: r\.test\.json cannot be read: is not a regular file/,
    ],
    [
      'a rule that cannot be read',
      { 'r.json': 'folder' },
      /^FAIL {2}r: r\.json: is not a regular file/,
    ],
    [
      'a test that expects no match of a rule that failed',
      { 'r.json': rule(failing), 'r.test.json': tests({ matched: false }) },
      /^ {8}get_secret\(\): /,
    ],
  ])('%s', async (_name, files, line) => {
    const { lines, exitCode } = await check(files)
    expect(lines).toContainEqual(expect.stringMatching(line))
    expect(lines.at(-1)).toMatch(/ 1 problem$/)
    expect(exitCode).toBe(1)
  })

  test('but not metadata that a crash left, of which it makes a note', async () => {
    const { lines, exitCode } = await check({ 'r.meta.json': '{}', 's.json': rule() })
    expect(lines[1]).toMatch(/^note {2}r\.meta\.json: there is no rule r\.json/)
    expect(exitCode).toBe(0)
  })
})

test('a test whose action fails does not pass, whatever it expects', async () => {
  const sql = "SELECT * FROM 'a'"
  const roleArn = 'arn:aws:iam::123456789012:role/r'
  const action = { streamName: '${name}', partitionKey: 'k', roleArn }
  const text = JSON.stringify({ sql, actions: [{ kinesis: action }] })
  const { lines, exitCode } = await check({
    'r.json': text,
    'r.test.json': tests({ matched: true }, { name: 'no name of a stream' }),
  })
  expect(lines).toContain('  FAIL  it')
  expect(exitCode).toBe(1)
})

test('one rule that cannot be read keeps no other from being checked', async () => {
  const { lines } = await check({ 'a.json': 'folder', 'b.json': rule() })
  expect(lines).toContain('ok    b')
})

test.each([
  { SLUICE_HTTP_HOST: '0.0.0.0' },
  { SLUICE_MQTT_HOST: '0.0.0.0' },
  { SLUICE_TLS_CERT_FILE: 'c.pem' },
  { SLUICE_HTTP_PORT: 'none' },
])('the environment of a server does not concern it: %j', async (environment) => {
  expect((await check({ 'r.json': rule() }, environment)).exitCode).toBe(0)
})

test('a message of a test is as long as MQTT clients may send', async () => {
  const files = { 'r.json': rule(), 'r.test.json': tests({ matched: true }, 'x'.repeat(200_000)) }
  expect((await check(files, { SLUICE_MQTT_PAYLOAD_BYTES_MAX: '200002' })).exitCode).toBe(0)
  const { lines } = await check(files, { SLUICE_MQTT_PAYLOAD_BYTES_MAX: '200001' })
  expect(lines.join('\n')).toMatch(/\[0\]\.message has 200002 bytes; at most 200001 are taken/)
})

test('what a rule rests on, and an action that delivers nothing, are told', async () => {
  const roleArn = 'arn:aws:iam::123456789012:role/r'
  const kinesis = { roleArn, streamName: '${topic()}', partitionKey: '' }
  const { lines, exitCode } = await check({
    'r.json': JSON.stringify({
      sql: "SELECT bitnot(a) AS n FROM 'dt/+/x'",
      actions: [{ kinesis }],
      awsIotSqlVersion: '2016-03-23',
    }),
  })
  expect(lines.filter((line) => line.includes('note'))).toEqual([
    expect.stringMatching(/bitnot\(\), on which AWS's guide is not clear: here .*-14/),
    expect.stringMatching(/streamName can take no topic of FROM 'dt\/\+\/x'/),
    expect.stringMatching(/partitionKey: the partition key is empty/),
    'note  rules without tests: r',
  ])
  expect(exitCode).toBe(0)
})

test('tests run with the output of 2015-10-08 that is set', async () => {
  const files = {
    'r.json': JSON.stringify({ sql: "SELECT * FROM 'a'", actions: [] }),
    'r.test.json': tests({ matched: true, output: { b: 1 } }, { a: { b: 1, c: [2] } }),
  }
  expect((await check(files, { SLUICE_SQL_2015: 'aws' })).exitCode).toBe(0)
  expect((await check(files)).exitCode).toBe(1)
})

test('rules see the account of the environment', async () => {
  const files = {
    'r.json': rule("SELECT accountid() AS a FROM 'a'"),
    'r.test.json': tests({ matched: true, output: { a: '210987654321' } }),
  }
  expect((await check(files, { SLUICE_ACCOUNT_ID: '210987654321' })).exitCode).toBe(0)
})

test('a rule file without permission is told as one', async () => {
  const folder = await temporaryFolder()
  await writeFile(path.join(folder, 'r.json'), rule())
  await chmod(path.join(folder, 'r.json'), 0)
  const host = createTestHost()
  await createProgram(host).parseAsync(['check', folder], { from: 'user' })
  // Root reads it all the same.
  const expected = process.getuid?.() === 0 ? /^ok {4}r/ : /^FAIL {2}r: .*EACCES/
  expect(host.written.stdout).toMatch(expected)
})

describe('the calls that a test expects', () => {
  const roleArn = 'arn:aws:iam::123456789012:role/r'
  const queueUrl = 'https://sqs.us-east-1.amazonaws.com/123456789012/q'
  const actions = [
    { sqs: { roleArn, queueUrl } },
    { dynamoDBv2: { roleArn, putItem: { tableName: 'readings' } } },
  ]
  const sqlRule = JSON.stringify({
    sql: "SELECT * FROM 'a'",
    actions,
    awsIotSqlVersion: '2016-03-23',
  })
  const run = async (calls: readonly object[]) => {
    const files = { 'r.json': sqlRule, 'r.test.json': tests({ matched: true, calls }, { id: 'x' }) }
    const { lines, exitCode } = await check(files)
    return { problems: lines.slice(2, -1).map((line) => line.trim()), exitCode }
  }

  test.each<[string, readonly object[]]>([
    ['by kind', [{ kind: 'sqs' }, { kind: 'dynamoDBv2' }]],
    [
      'by members of their parameters',
      [
        { kind: 'sqs', operation: 'SendMessage', parameters: { MessageBody: '{"id":"x"}' } },
        { kind: 'dynamoDBv2', parameters: { Item: { id: { S: 'x' } } } },
      ],
    ],
  ])('are compared %s', async (_by, calls) => {
    expect(await run(calls)).toEqual({ problems: [], exitCode: 0 })
  })

  test.each<[readonly object[], readonly string[]]>([
    [[], ['it made 2 calls, expected 0']],
    [
      [{ kind: 'sns' }, { kind: 'dynamoDBv2', operation: 'UpdateItem' }],
      [
        'calls[0].kind is "sqs", expected "sns"',
        'calls[1].operation is "PutItem", expected "UpdateItem"',
      ],
    ],
    [
      [
        { kind: 'sqs', parameters: { QueueUrl: 'x', Delay: 1 } },
        { kind: 'dynamoDBv2', parameters: { Item: { id: { S: 'y' } } } },
      ],
      [
        `calls[0].parameters.QueueUrl is "${queueUrl}", expected "x"`,
        'calls[0].parameters.Delay is absent, expected 1',
        'calls[1].parameters.Item.id.S is "x", expected "y"',
      ],
    ],
  ])('%j differ', async (calls, problems) => {
    expect(await run(calls)).toEqual({ problems, exitCode: 1 })
  })
})

describe('the report', () => {
  const files = {
    'good.json': rule(),
    'good.test.json': tests({ matched: true }),
    'failing.json': rule("SELECT * FROM 'b'"),
    'failing.test.json': tests({ matched: true }),
    'broken.json': rule('SELECT <&> "x"'),
    'untested.json': rule(),
    'gone.test.json': tests({ matched: true }),
  }

  async function report(
    words: readonly string[],
    environment: Record<string, string> = {},
    given: Readonly<Record<string, string>> = files,
  ) {
    const folder = await temporaryFolder()
    for (const [name, text] of Object.entries(given)) await writeFile(path.join(folder, name), text)
    const host = createTestHost(environment)
    await createProgram(host).parseAsync(['check', folder, ...words], { from: 'user' })
    return { folder, ...host.written, exitCode: host.exitCode() }
  }

  test('names the rules without tests', async () => {
    const { stdout, exitCode } = await report([])
    expect(stdout).toContain('note  rules without tests: untested\n4 rules, 2 tests, 3 problems\n')
    expect(exitCode).toBe(1)
  })

  test('is one document with --json', async () => {
    const { stdout, stderr, exitCode, folder } = await report(['--json'], {
      GITHUB_ACTIONS: 'true',
    })
    expect(JSON.parse(stdout)).toMatchObject({
      rules: [
        {
          name: 'broken',
          file: path.join(folder, 'broken.json'),
          problem: expect.any(String) as string,
          tests: [],
        },
        { name: 'failing', tests: [{ name: 'it', problems: [expect.any(String)] }] },
        { name: 'good', tests: [{ name: 'it', problems: [] }] },
        { name: 'untested', tests: [] },
      ],
      strayFiles: [{ file: path.join(folder, 'gone.test.json'), isProblem: true }],
      summary: { rules: 4, tests: 2, problems: 3, rulesWithoutTests: ['untested'] },
    })
    expect(stderr).toMatch(/^::error /)
    expect(exitCode).toBe(1)
  })

  test('is XML of JUnit with --junit, in a folder that is made', async () => {
    const file = path.join(await temporaryFolder(), 'reports', 'rules.xml')
    await report(['--junit', file])
    const text = await readFile(file, 'utf8')
    expect(text).toMatch(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites>\n/)
    expect(text).toContain('<testsuite name="good" tests="2" failures="0">')
    expect(text).toContain('<testsuite name="failing" tests="2" failures="1">')
    expect(text).toContain('<testsuite name="broken" tests="1" failures="1">')
    expect(text).toContain('<testsuite name="gone.test.json" tests="1" failures="1">')
    expect(text).not.toMatch(/<&>|&(?!amp;|lt;|gt;|quot;|#10;)/)
  })

  test('says when the file of --junit cannot be written', async () => {
    const file = path.join(await temporaryFolder(), 'a')
    await writeFile(file, '')
    await expect(report(['--junit', path.join(file, 'b.xml')])).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringMatching(/^--junit .*b\.xml cannot be written: /) as string,
    })
  })

  test('has annotations in GitHub Actions, with files relative to the repository', async () => {
    const environment = { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: tmpdir() }
    const { stdout, folder } = await report([], environment)
    const name = path.relative(tmpdir(), folder)
    const lines = stdout.split('\n').filter((line) => line.startsWith('::'))
    expect(lines).toEqual([
      expect.stringMatching(`^::error file=${name}/broken.json,title=broken::`),
      expect.stringMatching(
        `^::error file=${name}/failing.test.json,title=failing%3A it::it did not match`,
      ),
      expect.stringMatching(`^::error file=${name}/gone.test.json,title=gone.test.json::`),
      '::notice title=rules without tests::untested',
    ])
  })

  test('of a folder without rules fails with a hint', async () => {
    const { stderr, exitCode, folder } = await report([], {}, { 'README.md': '' })
    expect(stderr).toMatch(`no rule is in ${folder}: name a folder of rules, files, a glob`)
    expect(exitCode).toBe(1)
  })
})
