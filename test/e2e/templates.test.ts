import path from 'node:path'
import { DescribeStreamSummaryCommand, KinesisClient } from '@aws-sdk/client-kinesis'
import { expect, onTestFinished, test } from 'vitest'
import { readStream } from '../helpers/read-stream.ts'
import { runSluice, startSluice, temporaryFolder } from '../helpers/sluice-process.ts'

const samples = path.resolve(import.meta.dirname, '../../samples')

interface Call {
  readonly ruleName: string
  readonly kind: string
  readonly operation: string
  readonly parameters: unknown
}

test('the templates of SAM and CDK run in the lab, and each call is seen', async () => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const { path: cwd } = folder
  const words = ['lab', '--template', path.join(samples, 'sam'), '--template', `${samples}/cdk.out`]
  const lab = startSluice([...words, '--parameter', 'AlarmTopic=alerts'], {}, { cwd })
  onTestFinished(async () => {
    lab.kill('SIGTERM')
    expect(await lab.ended).toBe(0)
  })
  const ports = (await lab.ready()) as unknown as Record<string, number>
  const url = `http://127.0.0.1:${ports['http']}`
  const publish = async (topic: string) => {
    const target = `${url}/topics/${encodeURIComponent(topic)}?qos=1`
    const sent = await fetch(target, { method: 'POST', body: '{"temp": 61.5}' })
    expect(sent.status).toBe(200)
  }
  const printed = (text: string) => lab.logged(({ msg }) => String(msg).includes(text))

  await publish('sensors/7/data')
  await printed('"eventSourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/dev-readings"')
  await publish('alerts/7')
  await printed('{"temp":61.5}')
  // DynamoDB takes no empty key: the error action.
  await publish('sensors//data')
  await publish('dt/7/telemetry')
  await printed('a reading of 7, kept in Latest7B3A90D1')
  await printed('1 records of the stream')

  const kinds = ['dynamoDB', 'dynamoDBv2', 'sqs']
  for (const kind of kinds)
    await lab.logged((line) => line['operation'] !== undefined && line['kind'] === kind)
  const answer = await fetch(`${url}/v1/lab/calls`)
  const { calls } = (await answer.json()) as { readonly calls: readonly Call[] }
  expect(calls.toSorted((left, right) => (left.kind < right.kind ? -1 : 1))).toMatchObject([
    { ruleName: 'dev_readings', kind: 'dynamoDB', parameters: { TableName: 'dev-latest' } },
    { ruleName: 'Rule5E6F7A8B', kind: 'dynamoDBv2', parameters: { TableName: 'Latest7B3A90D1' } },
    {
      ruleName: 'dev_readings',
      kind: 'sqs',
      operation: 'SendMessage',
      parameters: { QueueUrl: 'https://sqs.us-east-1.amazonaws.com/000000000000/Failures' },
    },
  ])
  const kinesis = new KinesisClient({
    region: 'us-east-1',
    endpoint: `http://127.0.0.1:${ports['kinesis']}`,
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })
  onTestFinished(() => kinesis.destroy())
  const shards = async (StreamName: string) => {
    const described = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName }))
    return described.StreamDescriptionSummary?.OpenShardCount
  }
  expect([await shards('dev-readings'), await shards('StreamAB12CD34')]).toEqual([2, 3])
  const records = await readStream(kinesis, 'dev-readings', 2)
  expect(records.map(({ partitionKey }) => partitionKey).toSorted()).toEqual(['dev-', 'dev-7'])
})

test('a template that cannot be used ends the start with one line', async () => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const ran = await runSluice(['lab', '--template', 'none\u001B.yaml'], {}, { cwd: folder.path })

  expect(ran).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^sluice: none\\x1b\.yaml: cannot be read: ENOENT[^\n]*\n$/),
  })
})
