import { DeleteStreamCommand } from '@aws-sdk/client-kinesis'
import { expect, test } from 'vitest'
import { kinesisClient, startLab } from '../lab/lab-fixtures.ts'
import { numbered, putTexts } from '../consumers/consumer-parts.ts'
import { printing, startMappings } from './mapping-parts.ts'

test('a deleted stream stays deleted, and its mapping goes on when it is made anew', async () => {
  const lab = await startLab()
  lab.ensureStream('s', 1)
  const kinesis = kinesisClient(lab)
  const made: string[] = []
  const makeStream = async (name: string) => {
    made.push(name)
    lab.ensureStream(name, 1)
  }
  const first = await startMappings(lab, { 'f.mjs': printing() }, { makeStream })
  const uuid = await first.create({})
  await first.until(() => first.mappings.get(uuid)['State'] === 'Enabled')
  await first.stop()
  await kinesis.send(new DeleteStreamCommand({ StreamName: 's' }))

  // A lab that lost its streams with its memory: the start of the process makes them once.
  const { dataDir } = first
  const run = await startMappings(lab, {}, { makeStream, dataDir })
  await putTextsWhenThere()
  await run.until(() => run.texts().length === 3)
  expect(made).toEqual(['arn:aws:kinesis:us-east-1:000000000000:stream/s'])

  await kinesis.send(new DeleteStreamCommand({ StreamName: 's' }))
  const result = () => String(run.mappings.get(uuid)['LastProcessingResult'])
  await run.until(() => result().startsWith('PROBLEM'))
  await run.mappings.update(uuid, { BatchSize: 5 })
  await run.until(() => run.mappings.get(uuid)['State'] === 'Enabled')
  await run.until(() => result().startsWith('PROBLEM'))
  expect(made).toEqual(['arn:aws:kinesis:us-east-1:000000000000:stream/s'])
  expect(lab.streams.names()).toEqual([])

  lab.ensureStream('s', 1)
  await putTexts(kinesis, 's', numbered(2, 10))
  await run.until(() => run.texts().length === 5)
  expect(run.texts().slice(3)).toEqual(numbered(2, 10))

  async function putTextsWhenThere(): Promise<void> {
    await run.until(() => lab.streams.names().includes('s'))
    await putTexts(kinesis, 's', numbered(3))
  }
})
