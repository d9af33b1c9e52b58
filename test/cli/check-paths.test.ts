import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { temporaryFolder } from '../identity/identity-fixtures.ts'

const payload = { sql: "SELECT * FROM 'a'", actions: [], awsIotSqlVersion: '2016-03-23' }
const rule = JSON.stringify(payload)
const tests = JSON.stringify([
  { name: 'it', message: { topic: 'a', payload: {} }, expect: { matched: true } },
])
const failing = tests.replace('true', 'false')
/** A template with rules of these names. */
const template = (...names: readonly string[]) =>
  JSON.stringify({
    Resources: Object.fromEntries(
      names.map((name, index) => [
        `Rule${index}`,
        {
          Type: 'AWS::IoT::TopicRule',
          Properties: {
            RuleName: name,
            TopicRulePayload: {
              Sql: payload.sql,
              AwsIotSqlVersion: payload.awsIotSqlVersion,
              Actions: [],
            },
          },
        },
      ]),
    ),
  })
const manifest = JSON.stringify({
  artifacts: { S: { type: 'aws:cloudformation:stack', properties: { templateFile: 's.json' } } },
})

type Files = Readonly<Record<string, string>>

async function folderOf(files: Files): Promise<string> {
  const folder = await temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true })
    await writeFile(path.join(folder, name), text)
  }
  return folder
}

/** @param words paths have the folder before them; words that begin with `-` are options */
async function check(
  files: Files,
  words: readonly string[],
  environment: Record<string, string> = {},
) {
  const folder = await folderOf(files)
  const host = createTestHost(environment)
  const full = words.map((word) => (word.startsWith('-') ? word : path.join(folder, word)))
  await createProgram(host).parseAsync(['check', ...full], { from: 'user' })
  const { stdout, stderr } = host.written
  const lines = stdout.replaceAll(`${folder}/`, '').split('\n').slice(0, -1)
  return { lines, stdout, stderr, folder, exitCode: host.exitCode() }
}

describe('what paths name', () => {
  const two: Files = {
    'a/one.json': rule,
    'a/one.test.json': tests,
    'b/c/two.json': rule,
    'b/c/two.test.json': tests,
    'b/package.json': '{"name":"x"}',
    'b/README.md': 'x',
    'node_modules/x/three.json': rule,
  }
  const both = ['ok    one (a/one.json)', '  ok    it', 'ok    two (b/c/two.json)', '  ok    it']
  const summary = '2 rules, 2 tests, 0 problems'

  test.each<[string, readonly string[], readonly string[]]>([
    ['two folders', ['a', 'b/c'], [...both, summary]],
    ['two files', ['a/one.json', 'b/c/two.json'], [...both, summary]],
    ['a file and its tests', ['a/one.json', 'a/one.test.json'], ['ok    one', '  ok    it']],
    ['tests alone', ['a/one.test.json'], ['ok    one', '  ok    it']],
    ['a folder twice', ['a', 'a/one.json', 'a/*.json'], ['ok    one', '  ok    it']],
    ['a glob of folders', ['{a,b/c}'], [...both, summary]],
    [
      'a glob that the shell did not expand',
      ['**/*.json'],
      [...both, 'note  left out, neither rules nor templates: b/package.json', summary],
    ],
    [
      'files that the shell has expanded, whatever they are',
      ['b/package.json', 'b/README.md', 'b/c/two.json'],
      [
        'ok    two',
        '  ok    it',
        'note  left out, neither rules nor templates: b/package.json, b/README.md',
      ],
    ],
  ])('%s', async (_name, words, expected) => {
    const { lines, exitCode } = await check(two, words)
    expect(lines.slice(0, expected.length)).toEqual(expected)
    expect(exitCode).toBe(0)
  })

  test('a file whose name is a glob as well', async () => {
    expect((await check({ '[a]/one.json': rule }, ['[a]'])).lines).toContain('ok    one')
  })

  test.each<[string, Files, readonly string[], RegExp]>([
    ['a path that is not there', two, ['a', 'gone'], /^FAIL {2}gone: there is no such file or/],
    ['a glob without a match', two, ['a', 'x/*.json'], /^FAIL {2}x\/\*\.json: the glob matches/],
    ['a rule that is no JSON', { 'r.json': '{' }, ['r.json'], /^FAIL {2}r: .*not a JSON document/],
    ['YAML that is none', { 't.yaml': 'a: [' }, ['t.yaml'], /^FAIL {2}t\.yaml: not valid YAML/],
    ['a folder of such YAML', { 'template.yaml': 'a: [' }, ['.'], /^FAIL.*: not valid YAML/],
    ['a file of Terraform', { 'm.tf': 'x' }, ['m.tf'], /^FAIL {2}m\.tf: .*terraform show -json/],
    ['a name that is none', { 'a-b.json': rule }, ['*.json'], /^FAIL {2}a-b\.json: .*letters/],
    [
      'tests without a rule',
      { 'r.test.json': tests },
      ['*'],
      /^FAIL {2}r\.test\.json: there is no/,
    ],
  ])('%s is a problem', async (_name, files, words, line) => {
    const { lines, exitCode } = await check(files, words)
    expect(lines).toContainEqual(expect.stringMatching(line))
    expect(exitCode).toBe(1)
  })

  test('nothing but other files is no success, and there is a hint', async () => {
    const { stderr, exitCode } = await check(two, ['b/package.json'])
    expect(stderr).toMatch(/^no rule is in .*package\.json: name a folder of rules, files, a glob/)
    expect(exitCode).toBe(1)
  })
})

describe('templates', () => {
  test('stand beside folders, and have tests of their rules beside them', async () => {
    const files = {
      'rules/own.json': rule,
      'rules/own.test.json': tests,
      'stack/template.json': template('first', 'second'),
      'stack/first.test.json': tests,
    }
    const { lines, exitCode } = await check(files, ['rules', 'stack'])
    expect(lines).toEqual([
      'ok    own (rules/own.json)',
      '  ok    it',
      'ok    first (stack/template.json)',
      '  ok    it',
      'ok    second (stack/template.json)',
      'note  rules without tests: second',
      '3 rules, 2 tests, 0 problems',
    ])
    expect(exitCode).toBe(0)
  })

  test('take tests that are named in the same call', async () => {
    const files = { 't.json': template('first'), 'tests/first.test.json': failing }
    const { lines, exitCode } = await check(files, ['t.json', 'tests'])
    expect(lines.slice(0, 3)).toEqual([
      'ok    first',
      '  FAIL  it',
      '        it matched and should not',
    ])
    expect(exitCode).toBe(1)
  })

  test('of CDK count once, however many of their files are matched', async () => {
    const files = { 'cdk.out/manifest.json': manifest, 'cdk.out/s.json': template('first') }
    const { lines } = await check({ ...files, 'cdk.out/tree.json': '{}' }, ['**/*.json'])
    expect(lines[0]).toBe('ok    first')
    expect(lines.at(-1)).toBe('1 rule, 0 tests, 0 problems')
    expect((await check(files, ['cdk.out'])).lines[0]).toBe('ok    first')
  })

  test('without rules are told, and are no problem beside others', async () => {
    const files = { 'a.json': template(), 'b.json': template('first') }
    const { lines, exitCode } = await check(files, ['*.json'])
    expect(lines).toContain('note  a.json: it holds no rule of AWS IoT')
    expect(exitCode).toBe(0)
  })

  test('import values from each other', async () => {
    const outputs = { Stream: { Value: 'doors', Export: { Name: 'stream' } } }
    const importing = template('first').replace(
      '"Actions":[]',
      `"Actions":[{"Kinesis":{"StreamName":{"Fn::ImportValue":"stream"},` +
        '"RoleArn":"arn:aws:iam::123456789012:role/r","PartitionKey":"k"}}]',
    )
    const files = {
      'a.json': importing,
      'b.json': JSON.stringify({ Resources: {}, Outputs: outputs }),
      'first.test.json': tests.replace('true', 'true, "records": [{"streamName": "doors"}]'),
    }
    const { lines, exitCode } = await check(files, ['*.json'])
    expect(lines.slice(0, 2)).toEqual(['ok    first', '  ok    it'])
    expect(lines.join()).not.toContain('not resolved')
    expect(exitCode).toBe(0)
    expect((await check(files, ['a.json'])).lines.join()).toContain('not resolved')
  })

  test('that cannot be read keep nothing else from being checked', async () => {
    const { lines, exitCode } = await check({ 'a.yaml': 'a: [', 'b.json': rule }, ['*'])
    expect(lines).toContain('ok    b')
    expect(exitCode).toBe(1)
  })

  test('have reports for CI servers', async () => {
    const broken = template('first', 'second').replace('SELECT', 'SELEC')
    const files = { 't.json': broken, 'first.test.json': failing, 'second.test.json': failing }
    const report = path.join(await temporaryFolder(), 'r.xml')
    const folder = await folderOf(files)
    const host = createTestHost({ GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: folder })
    const words = ['check', path.join(folder, 't.json'), '--json', `--junit=${report}`]
    await createProgram(host).parseAsync(words, { from: 'user' })

    expect(JSON.parse(host.written.stdout)).toMatchObject({
      rules: [
        { name: 'first', file: path.join(folder, 't.json'), resource: 'Rule0', tests: [] },
        { name: 'second', resource: 'Rule1', tests: [{ name: 'it' }] },
      ],
      summary: { rules: 2, tests: 1, problems: 2, rulesWithoutTests: [] },
    })
    expect(host.written.stderr.split('\n').slice(0, -1)).toEqual([
      expect.stringMatching(/^::error file=t\.json,title=first::/),
      expect.stringMatching(/^::error file=second\.test\.json,title=second%3A it::it matched/),
    ])
    const xml = await readFile(report, 'utf8')
    expect(xml).toContain('<testsuite name="first" tests="1" failures="1">')
    expect(xml).toContain('<testsuite name="second" tests="2" failures="1">')
  })
})
