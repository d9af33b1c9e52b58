import { PutRecordCommand, RegisterStreamConsumerCommand } from '@aws-sdk/client-kinesis'
import { expect, test } from 'vitest'
import { aggregate } from '../../consumers/aggregate.ts'
import { kinesisClient, startLab } from '../../lab/lab-fixtures.ts'
import { printing, startMappings, streamArn } from '../mapping-parts.ts'

const hot = '{"data": {"temp": [{"numeric": [">", 60]}]}}'
const textOf = (temp: number) => `{"temp":${temp}}`

async function startWithAggregates(functionRest = '') {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  const kinesis = kinesisClient(lab)
  const put = (temps: readonly number[]) =>
    kinesis.send(
      new PutRecordCommand({
        StreamName: 's',
        PartitionKey: 'a',
        Data: aggregate(temps.map((temp) => ({ key: `k${temp}`, text: textOf(temp) }))),
      }),
    )
  const { Consumer } = await kinesis.send(
    new RegisterStreamConsumerCommand({ StreamARN: streamArn('s'), ConsumerName: 'c' }),
  )
  const run = await startMappings(lab, { 'f.mjs': printing(functionRest) })
  const create = (body: object) =>
    run.create({ FilterCriteria: { Filters: [{ Pattern: hot }] }, ...body })
  return { lab, run, put, create, consumerArn: Consumer?.ConsumerARN }
}

test.each([1, 4])(
  'with the ARN of a consumer, aggregates are opened before they are filtered: %d at a time',
  async (ParallelizationFactor) => {
    const { run, put, create, consumerArn } = await startWithAggregates()
    await put([10, 70, 20, 80, 90])
    await put([30])
    await put([100])
    await create({ EventSourceArn: consumerArn, ParallelizationFactor })
    await run.until(() => run.texts().length === 4)
    expect(run.texts().toSorted()).toEqual([70, 80, 90, 100].map(textOf).toSorted())
    const { values } = await run.metrics.mappingRecordsFiltered.get()
    expect(values).toMatchObject([{ value: 3 }])
  },
)

test('with the ARN of a stream, aggregates are filtered as they are', async () => {
  const { run, put, create } = await startWithAggregates()
  await put([70, 80])
  const uuid = await create({})
  const count = async () => (await run.metrics.mappingRecordsFiltered.get()).values
  while ((await count()).length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(await count()).toMatchObject([{ labels: { mapping: uuid }, value: 1 }])
  expect(run.texts()).toEqual([])
})

test('a part of an aggregate that is not done comes again after a stop', async () => {
  const first = await startWithAggregates(
    `if (event.Records.some((record) => textOf(record).includes('80'))) for (;;);`,
  )
  await first.put([70, 80])
  await first.create({ EventSourceArn: first.consumerArn, BatchSize: 1 })
  await first.run.until(() => first.run.texts().includes(textOf(80)))
  await first.run.stop()
  const { dataDir } = first.run
  const second = await startMappings(first.lab, { 'f.mjs': printing() }, { dataDir })
  await second.until(() => second.texts().includes(textOf(80)))
  expect(second.texts()).toContain(textOf(80))
})
