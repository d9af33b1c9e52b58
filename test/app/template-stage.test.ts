import { cp, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { DescribeStreamSummaryCommand, ListShardsCommand } from '@aws-sdk/client-kinesis'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'
import { kinesisClient } from '../lab/lab-fixtures.ts'

const samples = path.resolve(import.meta.dirname, '../../samples')

type Line = Readonly<Record<string, unknown>>

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-template-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A machine under load is slow. */
const patience = { timeout: 20_000 }
const nothing = () => undefined as void

/** A lab with these templates. */
async function startLab(
  folder: string,
  paths: readonly string[],
  more: {
    readonly parameters?: Record<string, string>
    readonly variables?: Record<string, string>
  } = {},
) {
  const config = loadConfig(
    {
      SLUICE_DATA_DIR: path.join(folder, 'data'),
      SLUICE_RULES_DIR: path.join(folder, 'rules'),
      SLUICE_FUNCTIONS_DIR: path.join(folder, 'functions'),
      SLUICE_POLICIES_DIR: path.join(folder, 'policies'),
      SLUICE_MQTT_PORT: '0',
      SLUICE_HTTP_PORT: '0',
      SLUICE_LAB_PORT: '0',
      ...more.variables,
    },
    'lab',
  )
  const lines: Line[] = []
  let look = nothing
  const logger = createMemoryLogger((line) => {
    lines.push(line)
    look()
  })
  const parameters = new Map(Object.entries(more.parameters ?? {}))
  const app = await startApp({
    config,
    logger,
    clock: systemClock,
    signal: new AbortController().signal,
    templates: { paths, parameters },
  })
  let isStopped = false
  const stop = async () => {
    if (!isStopped) await app.stop()
    isStopped = true
  }
  onTestFinished(stop)
  const url = `http://127.0.0.1:${app.ports.http}`
  /** Resolves with the first line since the last call that matches. */
  let from = 0
  const line = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const at = lines.slice(from).findIndex(({ msg }) => pattern.test(String(msg)))
      if (at !== -1) {
        const found = lines[from + at]
        from += at + 1
        return String(found?.['msg'])
      }
      await new Promise<void>((resolve) => (look = resolve))
    }
  }
  const call = async (method: string, target: string, body?: unknown) => {
    const answer = await fetch(url + target, { method, body: JSON.stringify(body) ?? null })
    return { status: answer.status, json: await answer.json().catch(nothing) }
  }
  const ruleNames = async () => {
    const { json } = await call('GET', '/rules')
    return (json as { rules: { ruleName: string }[] }).rules.map(({ ruleName }) => ruleName)
  }
  const mappings = async () => {
    const { json } = await call('GET', '/2015-03-31/event-source-mappings')
    return (json as { EventSourceMappings: Line[] }).EventSourceMappings
  }
  const publish = (topic: string, payload: object) =>
    fetch(`${url}/topics/${topic}?qos=1`, { method: 'POST', body: JSON.stringify(payload) })
  const kinesis = kinesisClient({ port: app.ports.kinesis ?? 0 })
  const openShards = async (StreamName: string) => {
    const command = new DescribeStreamSummaryCommand({ StreamName })
    return (await kinesis.send(command)).StreamDescriptionSummary?.OpenShardCount
  }
  return { app, stop, line, lines, call, ruleNames, mappings, publish, openShards, kinesis }
}

const rule = (name: string, topic: string, more: object = {}) => ({
  Type: 'AWS::IoT::TopicRule',
  Properties: {
    RuleName: name,
    TopicRulePayload: {
      Sql: `SELECT * FROM '${topic}'`,
      AwsIotSqlVersion: '2016-03-23',
      Actions: [{ Lambda: { FunctionArn: { 'Fn::GetAtt': ['Fn', 'Arn'] } } }],
      ...more,
    },
  },
})
const base = {
  Fn: {
    Type: 'AWS::Serverless::Function',
    Properties: { FunctionName: 'fn', Runtime: 'nodejs22.x', CodeUri: 'code', Handler: 'a.run' },
  },
  Stream: { Type: 'AWS::Kinesis::Stream', Properties: { Name: 's', ShardCount: 2 } },
  Mapping: {
    Type: 'AWS::Lambda::EventSourceMapping',
    Properties: {
      EventSourceArn: { 'Fn::GetAtt': ['Stream', 'Arn'] },
      FunctionName: { Ref: 'Fn' },
      StartingPosition: 'TRIM_HORIZON',
      BatchSize: 10,
    },
  },
}
const template = (resources: object) => JSON.stringify({ Resources: { ...base, ...resources } })
const code = (text: string) =>
  `exports.run = (event) => console.log('${text}', JSON.stringify(event))`

/** Replaces a file as editors do. */
async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

test('a template is run, and its changes are taken while the lab runs', async () => {
  const folder = await temporaryFolder()
  const file = path.join(folder, 'template.json')
  await mkdir(path.join(folder, 'code'))
  await writeFile(path.join(folder, 'code/a.js'), code('first'))
  await writeFile(file, template({ A: rule('a', 'x/a'), B: rule('b', 'x/b') }))
  const lab = await startLab(folder, [folder])

  expect(await lab.ruleNames()).toEqual(['a', 'b'])
  expect(await readdir(path.join(folder, 'rules'))).toEqual([])
  expect(await lab.openShards('s')).toBe(2)
  expect(await lab.mappings()).toMatchObject([{ BatchSize: 10, State: 'Enabled' }])
  await lab.publish('x/a', { n: 1 })
  expect(await lab.line(/^first/)).toBe('first {"n":1}')

  // The API shows the rules and does not change them.
  expect(await lab.call('DELETE', '/rules/a')).toMatchObject({
    status: 409,
    json: { message: expect.stringMatching(/^rule a is held by A of .*template\.json: change it/) },
  })

  // A rule changes and one goes; the stream is scaled; the mapping has another batch size.
  const Stream = { ...base.Stream, Properties: { Name: 's', ShardCount: 5 } }
  const Mapping = { ...base.Mapping, Properties: { ...base.Mapping.Properties, BatchSize: 20 } }
  await replace(file, template({ A: rule('a', 'y/a'), Stream, Mapping }))
  const text = await lab.line(/^the template has changed/)
  expect(text).toBe(
    'the template has changed: stream s, rule a, rule b removed, ' +
      `event source mapping Mapping of ${file}`,
  )
  expect(await lab.ruleNames()).toEqual(['a'])
  await expect.poll(() => lab.openShards('s'), patience).toBe(5)
  expect(await lab.mappings()).toMatchObject([{ BatchSize: 20, State: 'Enabled' }])

  // A template that cannot be used changes nothing, and is one line.
  await replace(file, '{"Resources": ')
  const fault = await lab.line(/cannot be used/)
  expect(fault).toContain('what it said before stays: ')
  expect(fault).toContain(`${file}: not valid JSON`)
  expect(fault).not.toContain('\n')
  await rm(file)
  await lab.line(/cannot be used, .* holds no stack template/)
  expect(await lab.ruleNames()).toEqual(['a'])

  // A rule that cannot be used keeps its last good version; the others change.
  await replace(file, template({ A: rule('a', 'z', { Sql: 'SELEC' }), C: rule('c', 'x/c') }))
  await lab.line(/^rule a \(A of .*\) cannot be used, its last good version stays in force: /)
  await lab.line(/^the template has changed/)
  expect(await lab.ruleNames()).toEqual(['a', 'c'])
  await lab.publish('y/a', { n: 2 })
  expect(await lab.line(/^first/)).toBe('first {"n":2}')

  // The code of a function changes.
  await replace(path.join(folder, 'code/a.js'), code('second'))
  await expect
    .poll(async () => {
      await lab.publish('x/c', { n: 3 })
      return lab.lines.some(({ msg }) => msg === 'second {"n":3}')
    }, patience)
    .toBe(true)
})

test('cdk synth rewrites the folder', async () => {
  const folder = await temporaryFolder()
  const out = path.join(folder, 'cdk.out')
  await cp(path.join(samples, 'cdk.out'), out, { recursive: true })
  const lab = await startLab(folder, [out])

  expect(await lab.ruleNames()).toEqual(['Rule5E6F7A8B'])
  expect(await lab.openShards('StreamAB12CD34')).toBe(3)
  await rm(out, { recursive: true })
  await lab.line(/cannot be used, .* cannot be read: ENOENT/)
  expect(await lab.ruleNames()).toEqual(['Rule5E6F7A8B'])
  await mkdir(out)
  await writeFile(
    path.join(out, 'manifest.json'),
    JSON.stringify({ artifacts: { T: { type: 'aws:cloudformation:stack' } } }),
  )
  await lab.line(/T\.template\.json: cannot be read/)
  await writeFile(path.join(out, 'T.template.json'), template({ N: rule('n', 'x') }))
  await lab.line(/^the template has changed/)
  expect(await lab.ruleNames()).toEqual(['n'])
})

test('what is not taken is listed, and what stands in the folders comes first', async () => {
  const folder = await temporaryFolder()
  await mkdir(path.join(folder, 'rules'))
  await mkdir(path.join(folder, 'functions'))
  await writeFile(path.join(folder, 'functions/fn.mjs'), 'export const handler = () => 1')
  const own = { sql: "SELECT * FROM 'own'", actions: [], ruleDisabled: false }
  await writeFile(path.join(folder, 'rules/a.json'), JSON.stringify(own))
  await mkdir(path.join(folder, 'code'))
  const file = path.join(folder, 'template.json')
  const text = template({
    A: rule('a', 'x/a'),
    Bad: rule('bad-name', 'x'),
    Asked: rule('asked', 'x', { Description: { 'Fn::ImportValue': 'text' } }),
    Given: rule('given', 'x', { Description: { 'Fn::ImportValue': 'known' } }),
    Python: { Type: 'AWS::Lambda::Function', Properties: { Runtime: 'python3.13' } },
    OfPython: {
      ...base.Mapping,
      Properties: { ...base.Mapping.Properties, FunctionName: { Ref: 'Python' } },
    },
    Role: { Type: 'AWS::IAM::Role' },
    Queue: { Type: 'AWS::SQS::Queue' },
    Other: { Type: 'AWS::SQS::Queue' },
    'Control\u001B': rule('control', 'x'),
  })
  await writeFile(file, text)
  const lab = await startLab(folder, [file], { parameters: { known: 'yes' } })
  const texts = lab.lines
    .map(({ msg }) => String(msg))
    .filter((msg) => msg.includes(file) || /made/.test(msg))

  expect(await lab.ruleNames()).toEqual(['a', 'asked', 'control', 'given'])
  expect(await lab.call('GET', '/rules/a')).toMatchObject({ json: { rule: { sql: own.sql } } })
  expect(await lab.call('GET', '/rules/given')).toMatchObject({
    json: { rule: { description: 'yes' } },
  })
  expect(texts.map((line) => line.replaceAll(folder, ''))).toEqual([
    'rule a: its file in /rules is in force, and not A of /template.json',
    'rule bad-name (Bad of /template.json) cannot be used, it is left out: ' +
      'a rule is named by 1 to 128 letters, digits and _',
    "not resolved: /template.json, Asked, TopicRulePayload.Description: Fn::ImportValue text; give --parameter 'text=...'",
    'left out: /template.json, Python: its runtime python3.13 is not Node',
    'not made in the lab: AWS::IAM::Role (1), AWS::SQS::Queue (2)',
    'function fn: fn.mjs in /functions runs, and not Fn of /template.json',
    'the event source mapping OfPython of /template.json is left out: its function Python does ' +
      'not run here: Python.mjs in the functions folder would',
  ])

  // The rule of the template comes into force when the file is gone.
  await rm(path.join(folder, 'rules/a.json'))
  await lab.line(/rule a was removed on disk/)
  expect(await lab.call('GET', '/rules/a')).toMatchObject({
    json: { rule: { sql: "SELECT * FROM 'x/a'" } },
  })
})

test('a later start goes on with the mappings, and without the template they are gone', async () => {
  const folder = await temporaryFolder()
  const file = path.join(folder, 'template.json')
  await mkdir(path.join(folder, 'code'))
  await writeFile(path.join(folder, 'code/a.js'), code('got'))
  await writeFile(file, template({ A: rule('a', 'x/a') }))
  const first = await startLab(folder, [file])
  const [before] = await first.mappings()
  await first.stop()
  const second = await startLab(folder, [path.join(folder)])
  const [same] = await second.mappings()

  expect(same?.['UUID']).toBe(before?.['UUID'])
  await second.stop()
  // A template that has moved goes on with them as well.
  await rename(file, path.join(folder, 'moved.json'))
  const moved = await startLab(folder, [path.join(folder, 'moved.json')])
  expect((await moved.mappings()).map(({ UUID }) => UUID)).toEqual([before?.['UUID']])
  await moved.stop()
  const third = await startLab(folder, [])
  expect(await third.mappings()).toEqual([])
  expect(await third.ruleNames()).toEqual([])
})

test('a mapping that the API made comes before one of the template', async () => {
  const folder = await temporaryFolder()
  const file = path.join(folder, 'template.json')
  await mkdir(path.join(folder, 'code'))
  await writeFile(path.join(folder, 'code/a.js'), code('got'))
  const { Mapping, ...others } = base
  await writeFile(file, JSON.stringify({ Resources: others }))
  const lab = await startLab(folder, [file])
  const made = await lab.call('POST', '/2015-03-31/event-source-mappings', {
    FunctionName: 'fn',
    EventSourceArn: 'arn:aws:kinesis:us-east-1:000000000000:stream/s',
    StartingPosition: 'LATEST',
  })
  expect(made.status).toBe(202)

  await replace(file, template({ Mapping }))
  await lab.line(
    /mapping Mapping of .* is left out: the mapping .* has its stream and its function/,
  )
  await replace(file, JSON.stringify({ Resources: others }))
  await lab.line(/^the template has changed: nothing that the lab takes/)
  expect(await lab.mappings()).toMatchObject([{ StartingPosition: 'LATEST', BatchSize: 100 }])
})

test.each([
  ['a template', 'name: x', /template\.yaml: no stack template/],
  ['a folder without one', undefined, /the folder holds no stack template/],
])('a start with %s that cannot be used ends with one line', async (_, text, message) => {
  const folder = await temporaryFolder()
  const file = path.join(folder, 'template.yaml')
  if (text !== undefined) await writeFile(file, text)

  await expect(startLab(folder, [folder])).rejects.toMatchObject({
    code: 'TemplateInvalid',
    message: expect.stringMatching(message),
  })
  expect(await readdir(folder)).not.toContain('rules')
})

test('a strict lab runs the functions of a template', async () => {
  const folder = await temporaryFolder()
  await mkdir(path.join(folder, 'code'))
  await writeFile(path.join(folder, 'code/a.js'), code('got'))
  await writeFile(path.join(folder, 'template.json'), template({ A: rule('a', 'x/a') }))
  const lab = await startLab(folder, [folder], { variables: { SLUICE_LAB_ACTIONS: 'strict' } })

  expect(await lab.ruleNames()).toEqual(['a'])
  const { Shards } = await lab.kinesis.send(new ListShardsCommand({ StreamName: 's' }))
  expect(Shards).toHaveLength(2)
})
