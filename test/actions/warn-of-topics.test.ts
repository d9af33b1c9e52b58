import { expect, test } from 'vitest'
import { compileActions } from '../../src/actions/compile-actions.ts'
import { deliveryDefaults } from '../../src/outbox/outbox.ts'
import { compileStatement } from '../../src/sql/sql.ts'

const roleArn = 'arn:aws:iam::123456789012:role/r'
const kinesis = (streamName: string, partitionKey?: string) => ({
  kinesis: { roleArn, streamName, partitionKey },
})
const republish = (topic: string) => ({ republish: { roleArn, topic } })
const s3 = (key: string) => ({ s3: { roleArn, bucketName: 'bucket', key } })
const dynamoDB = (tableName: string) => ({
  dynamoDB: { roleArn, tableName, hashKeyField: 'h', hashKeyValue: '${topic()}' },
})

type Action = Parameters<typeof compileActions>[0]['actions'][number]

function warningsOf(from: string, action: Action): readonly string[] {
  const statement = compileStatement(`SELECT * FROM '${from}'`, '2016-03-23')
  const settings = deliveryDefaults
  const context = { ruleName: 'r', region: 'eu-west-1', deliveryOf: () => ({ settings }) }
  compileActions({ actions: [action] }, statement, context)
  return statement.warnings
}

test.each<[string, Action, RegExp]>([
  [
    'a/b',
    kinesis('${topic()}'),
    /^actions\[0\]\.kinesis\.streamName can take no topic of FROM 'a\/b'/,
  ],
  ['dt/+/x', kinesis('${topic()}'), /"dt\/name\/x" is not a stream name/],
  ['a/#', kinesis('s-${topic()}'), /is not a stream name/],
  ['+/+', kinesis('${TOPIC()}-${id}'), /is not a stream name/],
  ['a/+', kinesis('${topic(3)}'), /"" is not a stream name/],
  [
    'a/+',
    kinesis('s', '${topic(3)}'),
    /partitionKey can take no topic .*: the partition key is empty/,
  ],
  ['a', kinesis('s', ''), /partitionKey: the partition key is empty, .*delivers nothing/],
  ['a', kinesis('s', 'k'.repeat(257)), /partitionKey: the partition key has 257 characters/],
  ['1/2/3/4/5/6/7/8', republish('out/${topic()}'), /republish\.topic can take no topic /],
  ['a/+', dynamoDB('${topic()}'), /dynamoDB\.tableName can take no topic /],
])('FROM %j and %j', (from, action, expected) => {
  expect(warningsOf(from, action)).toEqual([expect.stringMatching(expected)])
})

test.each<[string, Action]>([
  ['a', kinesis('${topic()}', '${topic()}')],
  ['#', kinesis('${topic()}')],
  ['+', kinesis('${topic()}')],
  ['a/+', kinesis('${topic(2)}', '${topic()}')],
  ['a/#', kinesis('${topic(3)}', '${topic(3)}')],
  ['a/b', kinesis('${name}', '${id}')],
  ['a/b', kinesis("${replace(topic(), '/', '-')}")],
  ['a/+', kinesis('arn:aws:kinesis:eu-west-1:123456789012:stream/${topic(2)}')],
  ['dt/+/x', republish('out/${topic()}')],
  ['dt/+/x', s3('${topic()}/${timestamp()}')],
  ['dt/+/x', dynamoDB('table_${topic(2)}')],
])('nothing about FROM %j and %j', (from, action) => {
  expect(warningsOf(from, action)).toEqual([])
})
