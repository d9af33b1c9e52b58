import {
  DescribeStreamSummaryCommand,
  KinesisClient,
  PutRecordCommand,
  SplitShardCommand,
} from '@aws-sdk/client-kinesis'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Page } from 'playwright-core'
import { hashKeySpace } from '../../src/base/hash-key.ts'
import { startLab } from '../app/lab-fixtures.ts'
import { destination } from '../outbox/outbox-parts.ts'
import { startServer } from '../http/http-fixtures.ts'
import { startGuarded } from '../http/guarded-server.ts'
import { isBrowserThere, useBrowser, whySkipped } from './browser.ts'

const open = useBrowser()
const patient = { timeout: 20_000 }

/** A lab with a stream, and AWS's client for its Kinesis. */
async function labWithStream() {
  const lab = await startLab()
  const roleArn = 'arn:aws:iam::000000000000:role/any'
  await lab.createRule('any', {
    sql: "SELECT * FROM 'x'",
    actions: [{ kinesis: { streamName: 'orders', partitionKey: 'k', roleArn } }],
  })
  const kinesis = new KinesisClient({
    endpoint: lab.kinesisUrl,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    requestHandler: new NodeHttpHandler(),
  })
  onTestFinished(() => kinesis.destroy())
  const put = async (PartitionKey: string, data: string | Uint8Array) => {
    const Data = typeof data === 'string' ? Buffer.from(data) : data
    const command = new PutRecordCommand({ StreamName: 'orders', PartitionKey, Data })
    const { ShardId = '', SequenceNumber = '' } = await kinesis.send(command)
    return { shardId: ShardId, sequenceNumber: SequenceNumber }
  }
  return { ...lab, kinesis, put, at: (path: string) => `${lab.url}/console/${path}` }
}

const textOf = (page: Page) => page.locator('main').innerText()

describe.skipIf(!isBrowserThere)(`the streams of a lab${whySkipped}`, () => {
  test('are listed with their load, and open to their shards and hottest keys', async () => {
    const { at, kinesis, put } = await labWithStream()
    for (const key of ['7', '7', '7', '8']) await put(key, '{"n": 1}')
    const page = await open(at('streams'))
    await page.getByRole('link', { name: 'orders' }).click()
    await page.getByRole('heading', { name: 'orders: 4 shards' }).waitFor()
    const { StreamDescriptionSummary } = await kinesis.send(
      new DescribeStreamSummaryCommand({ StreamName: 'orders' }),
    )
    expect(StreamDescriptionSummary?.OpenShardCount).toBe(4)
    expect(await page.locator('.shards > li').count()).toBe(4)
    await page.locator('.hot-keys').first().waitFor()
    expect((await page.locator('.hot-keys').allInnerTexts()).join(' ')).toMatch(/7 \d+ %/)
    const ShardToSplit = 'shardId-000000000000'
    const NewStartingHashKey = String(hashKeySpace / 8n)
    await kinesis.send(
      new SplitShardCommand({ StreamName: 'orders', ShardToSplit, NewStartingHashKey }),
    )
    await page.getByRole('heading', { name: 'orders: 5 shards, 1 closed' }).waitFor()
    expect(await textOf(page)).toContain(`from ${ShardToSplit}`)
  })

  test('show records as the SDK put them, from each position, and hostile ones harmlessly', async () => {
    const { at, put } = await labWithStream()
    const first = await put('device-1', '{"temp": 61.5}')
    const hostile = await put('<script>alert(1)</script>\u202e', '<b>\u001b[31m\u202ebold</b>')
    const binary = await put('device-1', new Uint8Array([0, 255, 254, 1]))
    await put('large', new Uint8Array(200_000).fill(97))
    const page = await open(at('streams/orders'))
    const row = (sequenceNumber: string) =>
      page.locator('.records > li').filter({ hasText: sequenceNumber })
    await expect.poll(() => page.locator('.records > li').count(), patient).toBe(4)
    const rows = page.locator('.records > li > button')
    // The newest is on top.
    await rows.nth(3).click()
    await row(first.sequenceNumber).getByText('"temp": 61.5').waitFor()
    expect(await row(first.sequenceNumber).innerText()).toContain(first.shardId)
    await row(first.sequenceNumber).getByRole('button', { name: 'Hex' }).click()
    expect(await row(first.sequenceNumber).locator('pre').innerText()).toContain('7b 22 74 65')
    await rows.nth(2).click()
    const text = await row(hostile.sequenceNumber).innerText()
    expect(text).toContain('<script>alert(1)</script>\\u202e')
    expect(text).toContain('<b>\\u001b[31m\\u202ebold</b>')
    await rows.nth(1).click()
    expect(await row(binary.sequenceNumber).locator('pre').innerText()).toContain('00 ff fe 01')
    await rows.nth(0).click()
    await page.getByText('The first 131,072 of 200,000 bytes.').waitFor()

    await page.getByLabel('Records from').selectOption('AFTER_SEQUENCE_NUMBER')
    await page.getByRole('textbox', { name: 'Sequence number' }).fill(first.sequenceNumber)
    await page.getByRole('textbox', { name: 'Sequence number' }).press('Enter')
    await expect.poll(() => page.url(), patient).toContain(`after=${first.sequenceNumber}`)
    await expect
      .poll(() => page.locator('.records > li').first().getByRole('button').innerText(), patient)
      .toContain('device-1')
    await page.getByLabel('Records from').selectOption('TRIM_HORIZON')
    await expect.poll(() => page.locator('.records > li').count(), patient).toBe(4)
    await page.getByRole('combobox', { name: 'Shard' }).selectOption(first.shardId)
    await expect.poll(() => page.url(), patient).toContain(`shard=${first.shardId}`)
  })

  test('page through more records than are shown at once', async () => {
    const { at, put } = await labWithStream()
    for (let count = 0; count < 60; count++) await put(`key-${count}`, 'x')
    const page = await open(at('streams/orders?from=TRIM_HORIZON'))
    await expect.poll(() => page.locator('.records > li').count(), patient).toBe(50)
    await page.getByRole('button', { name: 'Next 50' }).click()
    await expect.poll(() => page.locator('.records > li').count(), patient).toBe(10)
    await page.getByText('key-59').waitFor()
    await page.goBack()
    await page.getByText('key-0', { exact: true }).waitFor()
  })
})

describe.skipIf(!isBrowserThere)(`without a lab${whySkipped}`, () => {
  test('streams are those that are written to, and a throttled shard says until when it waits', async () => {
    const range = { shardId: 'shardId-000000000001', startingHashKey: 0n, endingHashKey: 9n }
    const sentStreams = () => [
      {
        destination: destination('orders'),
        isListed: true,
        countedSinceMs: performance.now(),
        shards: [
          {
            shardId: range.shardId,
            range,
            sent: { records: 600, bytes: 6_000 },
            isThrottled: true,
            dueMs: performance.now() + 60_000,
          },
        ],
      },
    ]
    const { url } = await startServer({ dependencies: { sentStreams } })
    const page = await open(`${url}/console/streams`)
    await page.getByRole('heading', { name: 'Streams: 1, 1 throttled' }).waitFor()
    await page.getByRole('link', { name: 'orders' }).click()
    await page.getByText(/throttled, waits until \d\d:\d\d:\d\d/).waitFor()
    const text = await textOf(page)
    expect(text).toContain('10 of 1,000 records/s')
    expect(text).toContain('This page does not read records from AWS.')
    expect(text).toContain('aws kinesis get-records')
  })

  test('a key that may not list streams is told so', async () => {
    const statement = { Effect: 'Allow', Action: 'iot:ListTopicRules', Resource: '*' }
    const key = { accessKeyId: 'READER', secretAccessKey: 'secret-of-the-reader', statement }
    const { url } = await startGuarded({ keys: [key] })
    const page = await open(`${url}/console/streams`)
    await page.getByLabel('Access key id').fill(key.accessKeyId)
    await page.getByLabel('Secret access key').fill(key.secretAccessKey)
    await page.getByLabel('Region').fill('eu-central-1')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('This access key may not see it').waitFor()
    expect(await textOf(page)).toContain('sluice:ListStreams')
  })
})
