import { RegisterStreamConsumerCommand } from '@aws-sdk/client-kinesis'
import { expect, test } from 'vitest'
import { putTexts } from '../consumers/consumer-parts.ts'
import { kinesisClient, noDelays, startLab } from '../lab/lab-fixtures.ts'
import { printing, startMappings, streamArn } from './mapping-parts.ts'

async function startLabWithConsumer() {
  const lab = await startLab({ statusMs: noDelays })
  lab.ensureStream('s', 2)
  const kinesis = kinesisClient(lab)
  const { Consumer } = await kinesis.send(
    new RegisterStreamConsumerCommand({ StreamARN: streamArn('s'), ConsumerName: 'c' }),
  )
  return { lab, kinesis, consumerArn: Consumer?.ConsumerARN }
}

test.each([
  ['polling', 'GetShardIterator', false],
  ['enhanced fan-out', 'SubscribeToShard', true],
] as const)(
  'at LATEST by %s, records put once it is Enabled arrive',
  async (_, operation, fanOut) => {
    const { lab, kinesis, consumerArn } = await startLabWithConsumer()
    lab.faults.add({ operation, effect: { kind: 'delay', delayMs: 200 } })
    const run = await startMappings(lab, { 'f.mjs': printing() })
    const uuid = await run.create({
      StartingPosition: 'LATEST',
      EventSourceArn: fanOut ? consumerArn : streamArn('s'),
    })
    expect(run.mappings.get(uuid)).toMatchObject({ State: 'Creating' })
    await run.until(() => run.mappings.get(uuid)['State'] === 'Enabled')
    await putTexts(kinesis, 's', ['1', '2', '3', '4'])
    await run.until(() => run.texts().length === 4)
    expect(run.texts().toSorted()).toEqual(['1', '2', '3', '4'])

    await run.mappings.update(uuid, { BatchSize: 5 })
    expect(run.mappings.get(uuid)).toMatchObject({ State: 'Updating' })
    await run.until(() => run.mappings.get(uuid)['State'] === 'Enabled')
  },
)

test('a mapping that is disabled while it has no positions yet stays Disabled', async () => {
  const { lab } = await startLabWithConsumer()
  lab.faults.add({ operation: 'GetShardIterator', effect: { kind: 'delay', delayMs: 100 } })
  const run = await startMappings(lab, { 'f.mjs': printing() })
  const uuid = await run.create({ StartingPosition: 'LATEST' })
  const state = () => run.mappings.get(uuid)['State']
  await run.until(() => lab.calls.list().some((call) => call.operation === 'ListShards'))
  await run.mappings.update(uuid, { Enabled: false })
  await run.until(() => state() === 'Disabled')
  await run.mappings.update(uuid, { Enabled: true })
  await run.until(() => state() === 'Enabled')
  expect(run.logLines.filter(({ level }) => level === 'error')).toEqual([])
})

test('a mapping says while the reads of its stream are throttled', async () => {
  const { lab, kinesis } = await startLabWithConsumer()
  const code = 'ProvisionedThroughputExceededException'
  lab.faults.add({ operation: 'GetRecords', effect: { kind: 'error', code } })
  const run = await startMappings(lab, { 'f.mjs': printing() })
  const uuid = await run.create({})
  const result = () => run.mappings.get(uuid)['LastProcessingResult']
  await run.until(() => String(result()).startsWith('PROBLEM'))
  expect(result()).toBe('PROBLEM: reads of the stream are throttled')
  lab.faults.clear()
  await run.until(() => result() === 'No records processed')
  await putTexts(kinesis, 's', ['1'])
  await run.until(() => result() === 'OK')
})
