import { readFile, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { temporaryFolder } from '../identity/identity-fixtures.ts'

const samples = path.resolve(import.meta.dirname, '../../samples')
const sam = path.join(samples, 'sam')

async function run(...words: readonly string[]) {
  const host = createTestHost()
  await createProgram(host).parseAsync(words, { from: 'user' })
  return { lines: host.written.stdout.split('\n').slice(0, -1), exitCode: host.exitCode() }
}

async function template(sql: unknown, name = 'r'): Promise<string> {
  const file = path.join(await temporaryFolder(), 'template.json')
  const payload = { Sql: sql, AwsIotSqlVersion: '2016-03-23', Actions: [] }
  const properties = { RuleName: name, TopicRulePayload: payload }
  const rule = { Type: 'AWS::IoT::TopicRule', Properties: properties }
  await writeFile(file, JSON.stringify({ Resources: { Rule: rule } }))
  return file
}

test('the rules of a SAM template become files that the check takes', async () => {
  const out = path.join(await temporaryFolder(), 'new', 'rules')
  const { lines, exitCode } = await run('import', sam, '--out', out)

  expect(exitCode).toBe(0)
  expect(lines).toEqual([
    'ok    dev_readings',
    'ok    ArchiveHot',
    `note  left out: ${sam}/template.yaml, AuditRule: its condition IsProduction is false`,
    '2 rules, 0 problems',
  ])
  expect((await readdir(out)).toSorted()).toEqual([
    'ArchiveHot.json',
    'dev_readings.json',
    'dev_readings.meta.json',
  ])
  const payload: unknown = JSON.parse(await readFile(path.join(out, 'dev_readings.json'), 'utf8'))
  expect(payload).toMatchObject({ actions: [{ kinesis: { streamName: 'dev-readings' } }, {}] })
  const metadata = await readFile(path.join(out, 'dev_readings.meta.json'), 'utf8')
  expect(JSON.parse(metadata)).toEqual({ tags: { stage: 'dev' } })
  expect((await run('check', out)).exitCode).toBe(0)
})

test('the output of CDK is imported, and a second time nothing changes', async () => {
  const out = await temporaryFolder()
  const words = ['import', path.join(samples, 'cdk.out'), '--out', out]

  expect((await run(...words)).lines).toEqual(['ok    Rule5E6F7A8B', '1 rules, 0 problems'])
  expect((await run(...words)).lines).toEqual([
    'ok    Rule5E6F7A8B  (unchanged)',
    '1 rules, 0 problems',
  ])
})

test('a parameter is taken', async () => {
  const out = await temporaryFolder()
  await run(
    'import',
    sam,
    '--out',
    out,
    '--parameter',
    'Stage=prod',
    '--parameter',
    'AlarmTopic=x=y',
  )

  expect(await readdir(out)).toContain('prod_readings.json')
  expect(await readFile(path.join(out, 'ArchiveHot.json'), 'utf8')).toContain("FROM 'x=y/+'")
})

test('another rule of that name is written over by --force alone', async () => {
  const out = await temporaryFolder()
  const file = path.join(out, 'r.json')
  await writeFile(file, '{}')
  const given = await template("SELECT * FROM 'a'")

  const refused = await run('import', given, '--out', out)
  expect(refused.exitCode).toBe(1)
  expect(refused.lines[0]).toMatch(/^FAIL {2}r \(.*, Rule\): there is another rule of this name/)
  expect(await readFile(file, 'utf8')).toBe('{}')

  expect((await run('import', given, '--out', out, '--force')).exitCode).toBe(0)
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ sql: "SELECT * FROM 'a'" })
})

test.each([
  ['a name that is none', "SELECT * FROM 'a'", '../r', /letters, digits and _/],
  ['a statement that is none', 'SELEC', 'r', /FAIL {2}r \(.*template.json, Rule\): /],
])('%s is a problem, and nothing is written', async (_, sql, name, message) => {
  const out = await temporaryFolder()
  const { lines, exitCode } = await run('import', await template(sql, name), '--out', out)

  expect(exitCode).toBe(1)
  expect(lines[0]).toMatch(message)
  expect(await readdir(out)).toEqual([])
})

test('what is not resolved is listed with the parameter that resolves it', async () => {
  const given = await template({ 'Fn::Sub': ["SELECT * FROM '${T}'", { T: { Ref: 'Topic' } }] })
  const { lines } = await run('check', given)

  expect(lines).toEqual([
    'ok    r',
    `note  not resolved: ${given}, Rule, TopicRulePayload.Sql: Ref Topic names nothing; ` +
      "give --parameter 'Topic=...'",
    'note  rules without tests: r',
    '1 rule, 0 tests, 0 problems',
  ])
  expect((await run('check', given, '--parameter', 'Topic=a')).lines).toHaveLength(3)
})

test('the check of a template without rules fails', async () => {
  const file = path.join(await temporaryFolder(), 'template.yaml')
  await writeFile(file, 'Resources: {}\n')

  expect(await run('check', file)).toEqual({
    lines: [`note  ${file}: it holds no rule of AWS IoT`, '0 rules, 0 tests, 0 problems'],
    exitCode: 1,
  })
})

const ruleOf = (sql: unknown, more = {}) => ({
  Type: 'AWS::IoT::TopicRule',
  Properties: { TopicRulePayload: { Sql: sql, Actions: [] }, ...more },
})

test.each([['import'], ['check']])(
  '%s lets nothing of a template into the terminal',
  async (name) => {
    const folder = await temporaryFolder()
    const file = path.join(folder, 'a\u001B[2J.json')
    const resources = {
      'Bad\u001B[31m': ruleOf('SELECT \u001B[31m FROM'),
      Named: ruleOf("SELECT * FROM 'a'", { RuleName: 'x\u009B1m\ny' }),
      Asked: ruleOf({ 'Fn::ImportValue': 'secret\u0007' }),
      'Gone\u0008': { ...ruleOf('s'), Condition: 'None\u001B' },
    }
    await writeFile(file, JSON.stringify({ Resources: resources }))
    const { lines } = await run(name, file, ...(name === 'import' ? ['--out', folder] : []))

    expect(lines.length).toBeGreaterThan(5)
    // oxlint-disable-next-line no-control-regex -- these are what must not reach a terminal
    for (const line of lines) expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)
  },
)
