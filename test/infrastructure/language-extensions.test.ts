import path from 'node:path'
import { expect, test } from 'vitest'
import { folderOf, read, readText, ruleWith } from './stack-fixtures.ts'

const transform = { Transform: 'AWS::LanguageExtensions' }

test('Fn::ForEach makes resources, members and outputs for each value', async () => {
  const { rules, streams, unresolved } = await readText(`Transform: [AWS::LanguageExtensions]
Parameters: {Sites: {Type: CommaDelimitedList, Default: 'north, south-1'}}
Resources:
  Fn::ForEach::Sites:
    - Site
    - !Ref Sites
    - Stream&{Site}:
        Type: AWS::Kinesis::Stream
        Properties: {Name: !Sub '\${Site}-readings'}
      'Fn::ForEach::Kinds':
        - Kind
        - [hot, cold]
        - Rule\${Kind}&{Site}:
            Type: AWS::IoT::TopicRule
            Properties:
              TopicRulePayload:
                Sql: !Join ['', ["SELECT * FROM '", !Ref Site, '/\${Kind}']]
                Actions:
                  - Kinesis:
                      StreamName: !Ref Stream&{Site}
                      PartitionKey: '\${topic(2)}'
`)

  expect(streams.map(({ resource, name }) => [resource, name])).toStrictEqual([
    ['Streamnorth', 'north-readings'],
    ['Streamsouth1', 'south-1-readings'],
  ])
  expect(rules.map(({ name }) => name)).toStrictEqual([
    'Rulehotnorth',
    'Rulecoldnorth',
    'Rulehotsouth1',
    'Rulecoldsouth1',
  ])
  expect(rules[3]?.payload).toMatchObject({
    sql: "SELECT * FROM 'south-1/cold",
    actions: [{ kinesis: { streamName: 'south-1-readings', partitionKey: '${topic(2)}' } }],
  })
  expect(unresolved).toStrictEqual([])
})

test('Fn::ForEach takes the values that an outer stack gives, and stands in conditions', async () => {
  const folder = await folderOf({
    'template.json': {
      Resources: {
        Inner: {
          Type: 'AWS::CloudFormation::Stack',
          Properties: { TemplateURL: 'inner.json', Parameters: { Names: 'a,b' } },
        },
      },
    },
    'inner.json': {
      ...transform,
      Parameters: { Names: { Type: 'CommaDelimitedList' } },
      Conditions: {
        'Fn::ForEach::C': ['N', { Ref: 'Names' }, { 'Is${N}': { 'Fn::Equals': ['${N}', 'b'] } }],
      },
      Resources: {
        'Fn::ForEach::R': [
          'N',
          { Ref: 'Names' },
          { 'R${N}': { ...ruleWith('s').Resources.Rule, Condition: 'Is${N}' } },
        ],
      },
    },
  })
  const { rules, skipped } = await read(path.join(folder, 'template.json'))

  expect(rules.map(({ name }) => name)).toStrictEqual(['Rb'])
  expect(skipped).toMatchObject([{ resource: 'Ra', reason: 'its condition Isa is false' }])
})

test.each([
  ['Fn::Length', { 'Fn::Length': ['a', { Ref: 'AWS::Region' }, { Ref: 'AWS::NoValue' }] }, '2'],
  [
    'Fn::ToJsonString',
    { 'Fn::ToJsonString': { a: { Ref: 'AWS::Region' }, b: { Ref: 'AWS::NoValue' }, c: [1] } },
    '{"a":"eu-west-1","c":[1]}',
  ],
])('%s is computed', async (name, sql, expected) => {
  const { rules, unresolved } = await readText(ruleWith(sql, transform))

  expect(rules[0]?.payload['sql']).toBe(expected)
  expect(unresolved).toStrictEqual([])

  const without = await readText(ruleWith(sql))
  expect(without.unresolved).toMatchObject([
    { member: 'TopicRulePayload.Sql', reason: expect.stringContaining(`${name} needs AWS::Lang`) },
  ])
})

const rule = ruleWith('s').Resources.Rule
const extended = (members: object) => ({
  ...transform,
  Resources: { ...ruleWith('s').Resources, ...members },
})
const listed: readonly (readonly [string, unknown, readonly object[]])[] = [
  [
    'a loop of another form',
    extended({ 'Fn::ForEach::L': ['N', ['a']] }),
    [{ resource: 'Fn::ForEach::L', reason: expect.stringContaining('left out') }],
  ],
  [
    'a loop without a list',
    extended({ 'Fn::ForEach::L': ['N', 'a', {}] }),
    [{ resource: 'Fn::ForEach::L', reason: expect.stringContaining('no list') }],
  ],
  [
    'a loop without the transform',
    { Resources: { 'Fn::ForEach::L': ['N', ['a'], { 'R${N}': rule }] } },
    [{ resource: 'Transform', reason: expect.stringContaining('needs AWS::LanguageExtensions') }],
  ],
  [
    'an include among resources',
    extended({ 'Fn::Transform': { Name: 'AWS::Include' } }),
    [{ resource: 'Resources', reason: expect.stringContaining('Fn::Transform is expanded') }],
  ],
  [
    'an include among members',
    ruleWith({ 'Fn::Transform': { Name: 'AWS::Include' }, a: 'b' }),
    [{ member: 'TopicRulePayload.Sql' }],
  ],
  [
    'an include as the properties',
    {
      Resources: {
        R: { Type: rule.Type, Properties: { 'Fn::Transform': { Name: 'AWS::Include' } } },
      },
    },
    [{ resource: 'R', member: 'Properties' }],
  ],
  [
    'a macro',
    { ...ruleWith('s'), Transform: ['AWS::Serverless-2016-10-31', 'Mine'] },
    [{ resource: 'Transform', reason: 'Mine runs at deployment: give the processed template' }],
  ],
]

test.each(listed)('%s is listed', async (_, template, expected) => {
  const { rules, unresolved } = await readText(template)

  expect(unresolved).toMatchObject(expected)
  expect(rules).toHaveLength(1)
  expect(JSON.stringify(rules)).not.toContain('Fn::')
})

const values = Array.from({ length: 501 }, (_, index) => `${index}`)
const many = ['N', values, { 'T${N}': { Type: 'AWS::SNS::Topic' } }]
const deep = (levels: number, fragment: object, collection: unknown = values): object => {
  if (levels === 0) return fragment
  const inner = deep(levels - 1, fragment, collection)
  return { [`Fn::ForEach::L${levels}`]: [`N${levels}`, collection, inner] }
}
const Parameters = { Many: { Type: 'CommaDelimitedList', Default: values.join() } }

test.each([
  ['too many resources', { 'Fn::ForEach::L': many }, /501 resources; CloudFormation takes at most/],
  ['loops that explode', deep(5, { T: rule }), /L5: the loops make more than 50000 values$/],
  [
    'loops over a parameter that explode',
    deep(3, { T: rule }, { Ref: 'Many' }),
    /L\d: the loops make more than 50000 values$/,
  ],
  [
    'texts that explode',
    { 'Fn::ForEach::L': ['N', ['x'.repeat(9_000)], { T: { ...rule, Text: '${N}'.repeat(100) } }] },
    /Fn::ForEach::N: .* has more than 262144 characters$/,
  ],
])('%s are one clear line', async (_, resources, message) => {
  await expect(readText({ ...transform, Parameters, Resources: resources })).rejects.toMatchObject({
    code: 'TemplateInvalid',
    message: expect.stringMatching(message),
  })
})
