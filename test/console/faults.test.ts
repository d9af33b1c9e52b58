import { CreateStreamCommand, KinesisClient, PutRecordsCommand } from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startLab } from '../app/lab-fixtures.ts'
import { startServer } from '../http/http-fixtures.ts'
import { isBrowserThere, useBrowser, whySkipped } from './browser.ts'

const open = useBrowser()

async function labWithClient() {
  const lab = await startLab()
  const kinesis = new KinesisClient({
    endpoint: lab.kinesisUrl,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    requestHandler: new NodeHttpHandler(),
    maxAttempts: 1,
  })
  onTestFinished(() => kinesis.destroy())
  await kinesis.send(new CreateStreamCommand({ StreamName: 'orders', ShardCount: 1 }))
  const put = () =>
    kinesis.send(
      new PutRecordsCommand({
        StreamName: 'orders',
        Records: ['7', '8'].map((PartitionKey) => ({ PartitionKey, Data: Buffer.from('x') })),
      }),
    )
  await expect.poll(put).toMatchObject({ FailedRecordCount: 0 })
  return { ...lab, put, at: (path: string) => `${lab.url}/console/${path}` }
}

describe.skipIf(!isBrowserThere)(`faults${whySkipped}`, () => {
  test('that are added by form make the SDK fail as they say, until they are removed', async () => {
    const { put, at } = await labWithClient()
    const page = await open(at('faults'))
    await page.getByRole('heading', { name: 'Faults: 0 active' }).waitFor()
    await page.getByLabel('Operation').fill('PutRecords')
    await page.getByLabel('Partition key').fill('7')
    const words =
      'PutRecords with the key 7: records fail with ProvisionedThroughputExceededException.'
    await page.getByText(words).waitFor()
    await page.getByRole('button', { name: 'Add the fault' }).click()
    await page.getByRole('heading', { name: 'Faults: 1 active' }).waitFor()
    const { FailedRecordCount, Records = [] } = await put()
    expect(FailedRecordCount).toBe(1)
    expect(Records.map(({ ErrorCode }) => ErrorCode)).toEqual([
      'ProvisionedThroughputExceededException',
      undefined,
    ])
    await expect
      .poll(() => page.locator('.faults td.number').first().innerText(), { timeout: 20_000 })
      .toBe('1')

    await page.getByLabel('What happens').selectOption('The call is refused')
    await page.getByLabel('Error code').fill('AccessDeniedException')
    await page.getByLabel('How often').fill('1')
    await page.getByLabel('Partition key').fill('')
    await page.getByRole('button', { name: 'Add the fault' }).click()
    await page.getByRole('heading', { name: 'Faults: 2 active' }).waitFor()
    await expect(put()).rejects.toMatchObject({ name: 'AccessDeniedException' })
    await page.getByRole('heading', { name: 'Faults: 1 active, 1 used up' }).waitFor()
    await page.getByRole('button', { name: 'Remove fault 1' }).click()
    await page.getByRole('heading', { name: 'Faults: 0 active, 1 used up' }).waitFor()
    expect(await put()).toMatchObject({ FailedRecordCount: 0 })
    await page.getByRole('button', { name: 'Remove all' }).click()
    await page.getByText('Nothing fails now.').waitFor()
  })

  test('that cannot be are refused with the reason', async () => {
    const { at } = await labWithClient()
    const page = await open(at('faults'))
    await page.getByLabel('Operation').fill('PutRecord5')
    await page.getByRole('button', { name: 'Add the fault' }).click()
    await page.getByRole('alert').getByText('operation must be').waitFor()
    await page.getByLabel('Operation').fill('GetRecords')
    await page.getByRole('button', { name: 'Add the fault' }).click()
    await page.getByText('operation must be PutRecord, PutRecords or Put*').waitFor()
    expect(await page.locator('.faults').count()).toBe(0)
  })

  test('are of the lab', async () => {
    const { url } = await startServer()
    const page = await open(`${url}/console/faults`)
    await page.getByRole('heading', { name: 'Faults are of the lab' }).waitFor()
    expect(await page.locator('main').innerText()).toContain('sluice lab')
  })
})
