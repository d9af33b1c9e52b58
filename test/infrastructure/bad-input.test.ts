import { expect, test } from 'vitest'
import { folderOf, read, readText, ruleWith } from './stack-fixtures.ts'

const bomb = `a: &a [x, x, x, x, x, x, x, x, x, x]
${'bcdefghij'
  .split('')
  .map((name, index) => {
    const alias = `*${'abcdefghij'[index]}`
    return `${name}: &${name} [${Array.from({ length: 10 }, () => alias).join(', ')}]`
  })
  .join('\n')}
Resources: {}
`
const manyResources = {
  Resources: Object.fromEntries(
    Array.from({ length: 10_000 }, (_, index) => [`T${index}`, { Type: 'AWS::SNS::Topic' }]),
  ),
}
const circle = ruleWith(
  { Ref: 'A' },
  {
    Resources: {
      A: { Type: 'AWS::S3::Bucket', Properties: { BucketName: { 'Fn::Sub': 'x-${B.Arn}' } } },
      B: { Type: 'AWS::S3::Bucket', Properties: { BucketName: { Ref: 'A' } } },
    },
  },
)
const growing = ruleWith(
  { Ref: 'B0' },
  {
    Resources: Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [
        `B${index}`,
        {
          Type: 'AWS::S3::Bucket',
          Properties: {
            BucketName: index === 39 ? 'x' : { 'Fn::Sub': `\${B${index + 1}}\${B${index + 1}}` },
          },
        },
      ]),
    ),
  },
)
const nested = (levels: number) =>
  `{"Resources": {"Rule": {"Type": "AWS::IoT::TopicRule", "Properties": {"TopicRulePayload": ${'['.repeat(levels)}${']'.repeat(levels)}}}}}`
const longName = 'x'.repeat(250_000)
const joined = (list: unknown) =>
  ruleWith(list, {
    Resources: { B: { Type: 'AWS::SNS::Topic', Properties: { TopicName: longName } } },
  })
const many = Array.from({ length: 10_000 }, () => ({ 'Fn::GetAtt': ['B', 'TopicName'] }))
const selfish = { service: 's', provider: {}, custom: { a: '${self:custom}', b: '${self:custom}' } }
const deepPlan = `{"format_version": "1.0", "values": {"root_module": {"resources": [{"mode": "managed", "type": "aws_iot_topic_rule", "values": {"kinesis": [{"a": ${'[{"b": '.repeat(20_000)}1${'}]'.repeat(20_000)}}]}}]}}}`

const cases: readonly (readonly [string, unknown, RegExp])[] = [
  ['another document', 'name: x\n', /no stack template: it has no Resources/],
  ['a list', '[]', /no stack template/],
  ['an empty file', '', /no stack template/],
  ['no YAML', 'a: [1\nb: }', /not valid YAML: .* at line \d+, column \d+$/],
  ['a resource without a type', 'Resources: {A: {}}', /the resource A has no Type$/],
  ['a circular Ref', circle, /a circular reference: A -> B -> A$/],
  [
    'a circular condition',
    ruleWith(
      { 'Fn::If': ['C', 'a', 'b'] },
      { Conditions: { C: { 'Fn::Not': [{ Condition: 'C' }] } } },
    ),
    /a circular reference: condition C -> condition C$/,
  ],
  ['10,000 resources', manyResources, /10000 resources; CloudFormation takes at most 500$/],
  ['aliases that explode', bomb, /YAML with more than 500000 values, aliases counted$/],
  ['an alias of itself', 'a: &a [*a]\nResources: {}\n', /the YAML alias \*a contains itself$/],
  ['an unknown alias', 'a: *b\nResources: {}\n', /alias/],
  ['texts that double', growing, /B\d+: BucketName has more than 262144 characters$/],
  [
    'YAML that is nested deep',
    `a: ${'['.repeat(300)}${']'.repeat(300)}`,
    /nested deeper than 100 levels$/,
  ],
  ['YAML that is nested very deep', '['.repeat(50_000), /nested deeper than 100 levels$/],
  ['values that are nested deep', nested(300), /nested deeper than 200 levels$/],
  ['JSON that is nested very deep', nested(50_000), /JSON that is nested deeper than 500 levels$/],
  ['a plan that is nested very deep', deepPlan, /JSON that is nested deeper than 500 levels$/],
  ['a join that is too long', joined({ 'Fn::Join': ['', many] }), /more than 262144 characters$/],
  [
    'a Sub that is too long',
    joined({ 'Fn::Sub': '${B.TopicName}'.repeat(10_000) }),
    /more than 262144 characters$/,
  ],
  ['variables that contain themselves', selfish, /nested deeper than 200 levels$/],
  [
    'another version of Terraform',
    { format_version: '2.0' },
    /format_version 2.0 .* 1.x can be read$/,
  ],
]

test.each(cases)('%s is one clear line', async (_, text, message) => {
  const error: unknown = await readText(text).catch((thrown: unknown) => thrown)

  expect(error).toMatchObject({ code: 'TemplateInvalid', message: expect.stringMatching(message) })
  expect((error as Error).message).not.toContain('\n')
})

test('a nested stack of itself is refused', async () => {
  const folder = await folderOf({
    'template.yaml':
      'Resources: {A: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: template.yaml}}}',
  })

  await expect(read(folder)).rejects.toMatchObject({
    code: 'TemplateInvalid',
    message: expect.stringMatching(/stacks that are nested deeper than 8$/),
  })
})

test('what is no regular file is refused', async () => {
  const folder = await folderOf({ 'a/template.yaml': '' })

  await expect(read('/dev/zero')).rejects.toThrow(/\/dev\/zero: is not a regular file$/)
  await expect(read(`${folder}/a`)).rejects.toThrow(/no stack template/)
})

test('a folder and a file without a template say what they look for', async () => {
  const folder = await folderOf({ 'main.tf': 'resource "x" "y" {}' })

  await expect(read(folder)).rejects.toThrow(/holds no stack template \(manifest\.json, /)
  await expect(read(`${folder}/main.tf`)).rejects.toThrow(/terraform show -json PLAN/)
  await expect(read(`${folder}/none.yaml`)).rejects.toThrow(/none\.yaml: cannot be read: ENOENT/)
})
