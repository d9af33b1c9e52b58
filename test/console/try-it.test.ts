import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import type { Action } from '@aws-sdk/client-iot'
import type { Page } from 'playwright-core'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startLab } from '../app/lab-fixtures.ts'
import { startGuarded } from '../http/guarded-server.ts'
import { isBrowserThere, useBrowser, whySkipped } from './browser.ts'

const role = 'arn:aws:iam::000000000000:role/any'
const sql = "SELECT temp, topic(2) AS device FROM 'dt/+/t' WHERE temp > 50 AND room = 'x'"
const actions: Action[] = [
  { kinesis: { streamName: 'hot', partitionKey: '${topic(2)}', roleArn: role } },
  { republish: { topic: 'alarms/${topic(2)}', qos: 1, roleArn: role } },
]
const open = useBrowser()

async function labWithRule() {
  const lab = await startLab()
  await lab.createRule('hot', { sql, actions, awsIotSqlVersion: '2016-03-23' })
  const { client } = await lab.connect('pump')
  const publish = (topic: string, payload: string | Buffer) =>
    client.publishAsync(topic, payload, { qos: 1 })
  return { ...lab, publish, at: (place: string) => `${lab.url}/console/${place}` }
}

const ladder = (page: Page) => page.locator('.ladder')
const tried = async (page: Page, topic: string, payload: string) => {
  await page.getByLabel('Topic', { exact: true }).fill(topic)
  await page.getByLabel('Payload', { exact: true }).fill(payload)
}

describe.skipIf(!isBrowserThere)(`try it${whySkipped}`, () => {
  test('a ladder says where a message stops, and what each action would send', async () => {
    const { at } = await labWithRule()
    const page = await open(at('try-it/hot'))
    await tried(page, 'dt/7/t', '{"temp": 61.5, "room": "y"}')
    await ladder(page).getByText('WHERE is false, not true').waitFor()
    const steps = await ladder(page).innerText()
    expect(steps).toContain('The topic is one of the rule.')
    expect(steps).toMatch(/room = 'x' is false/)
    await tried(page, 'dt/7/t', '{"temp": 61.5, "room": "x"}')
    const kinesis = ladder(page).getByText(/^kinesis hot, key 7 -> shardId-\d{12}$/)
    await kinesis.waitFor()
    await kinesis.click()
    expect(await ladder(page).innerText()).toMatch(/predicted shard\s+shardId-\d{12}/)
    await ladder(page).getByText('republish alarms/7').waitFor()
    await tried(page, 'other', '{"temp":')
    await ladder(page).getByText("the topic other does not match the filter 'dt/+/t'").waitFor()
    await page.getByText(/^No JSON: /).waitFor()
  })

  test('hostile text, binary and 128 KiB are tried, and shown harmlessly', async () => {
    const { at } = await labWithRule()
    const page = await open(at(`try-it?sql=${encodeURIComponent("SELECT * FROM 'dt/#'")}`))
    const hostile = '<script>alert(1)</script>\u202e\u001b[31m'
    await tried(page, 'dt/7', JSON.stringify({ hostile }))
    await page.getByText(/One character cannot be seen: U\+202E/).waitFor()
    await ladder(page)
      .getByText(/^output .*<script>.*\\u202e/)
      .waitFor()
    await page.getByLabel('written as').selectOption('Hex')
    await tried(page, 'dt/7', '00 ff fe 8')
    await page.getByText('Write pairs of the digits 0 to 9 and a to f.').waitFor()
    await tried(page, 'dt/7', '00 ff fe 80')
    await ladder(page).getByText('output 00 ff fe 80').waitFor()
    await page.getByLabel('written as').selectOption('Base64')
    expect(await page.getByLabel('Payload', { exact: true }).inputValue()).toBe('AP/+gA==')
    expect(await page.getByRole('option', { name: 'Text' }).isDisabled()).toBe(true)
    await tried(page, 'dt/7', Buffer.alloc(131_072, 'x').toString('base64'))
    await ladder(page)
      .getByText(/^output x{80} \.\.\.$/)
      .waitFor()
  })

  test('a message is taken from live traffic, and a change is held against what came', async () => {
    const { at, publish } = await labWithRule()
    const page = await open(at('rules/hot'))
    const take = page.getByRole('button', { name: 'Take the newest live message' })
    await expect
      .poll(
        async () => {
          await publish('dt/8/t', '{"temp": 40, "room": "x"}')
          await publish('dt/9/t', '{"temp": 70, "room": "x"}')
          return take.isVisible()
        },
        { timeout: 20_000 },
      )
      .toBe(true)
    await take.click()
    await ladder(page).getByText('kinesis hot, key 9').waitFor()
    const statement = page.getByLabel('Statement')
    await statement.fill("SELECT temp FROM 'dt/+/t' WHERE temp > 30 AND room = 'x'")
    await page.getByRole('button', { name: 'Save ...' }).click()
    const changes = page.getByRole('group', { name: 'What changes' })
    const told = changes.getByText(
      /Of the last \d+ messages seen since \d\d:\d\d, \d+ would match that do not now, \d+ would give another output\./,
    )
    await told.waitFor()
    await changes.getByText(/of them, to open$/).click()
    await changes.getByRole('button', { name: 'matches now' }).first().click()
    await expect.poll(() => page.getByLabel('Topic', { exact: true }).inputValue()).toBe('dt/8/t')
  })

  test('what was tried is kept as a test, which the command runs', async () => {
    const { at } = await labWithRule()
    const page = await open(at('try-it/hot'))
    const keep = page.getByRole('button', { name: 'Keep as a test' })
    await tried(page, 'dt/7/t', '{"temp": 61.50000000000000001, "room": "x"}')
    await ladder(page).getByText('kinesis hot, key 7').waitFor()
    await keep.click()
    await page.getByRole('button', { name: 'Download hot.test.json' }).waitFor()
    await tried(page, 'dt/7/t', 'no JSON')
    await ladder(page)
      .getByText(/^WHERE is .*, not true/)
      .waitFor()
    await keep.click()
    await expect.poll(() => page.getByLabel('Name of the test').count()).toBe(2)
    const downloading = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download hot.test.json' }).click()
    const folder = await mkdtemp(path.join(tmpdir(), 'sluice-kept-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await (await downloading).saveAs(path.join(folder, 'hot.test.json'))
    const rule = { sql, actions, awsIotSqlVersion: '2016-03-23' }
    await writeFile(path.join(folder, 'hot.json'), JSON.stringify(rule))
    const { stdout } = await promisify(execFile)('node', [
      'bin/sluice.js',
      'check',
      '--json',
      folder,
    ])
    const report = JSON.parse(stdout) as { rules: { tests: { problems: unknown[] }[] }[] }
    expect(report.rules.map(({ tests }) => tests.map(({ problems }) => problems))).toEqual([
      [[], []],
    ])
  })

  test('a key without rights gets sentences', async () => {
    const key = {
      accessKeyId: 'READER',
      secretAccessKey: 'secret-of-the-reader',
      statement: { Effect: 'Allow', Action: 'iot:ListTopicRules', Resource: '*' },
    }
    const { url } = await startGuarded({ keys: [key] })
    const page = await open(`${url}/console/try-it`)
    await page.getByLabel('Access key id').fill(key.accessKeyId)
    await page.getByLabel('Secret access key').fill(key.secretAccessKey)
    await page.getByLabel('Region').fill('eu-central-1')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByText('Live messages are not shown: This access key may not see it').waitFor()
    const refusal = page.getByRole('alert').getByText('This access key may not do it')
    await refusal.waitFor()
    expect(await refusal.innerText()).toContain('sluice:Evaluate')
  })
})
