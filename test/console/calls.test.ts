import type { Action } from '@aws-sdk/client-iot'
import { describe, expect, test } from 'vitest'
import type { Page } from 'playwright-core'
import { startLab } from '../app/lab-fixtures.ts'
import { startServer } from '../http/http-fixtures.ts'
import { faultsOf } from './axe.ts'
import { colourSchemes, isBrowserThere, useBrowser, viewports, whySkipped } from './browser.ts'

const open = useBrowser()
const roleArn = 'arn:aws:iam::000000000000:role/any'
const queueUrl = 'https://sqs.us-east-1.amazonaws.com/000000000000/q'
const hostile = '<script>alert(1)</script>\u202e\u001b[31m'

/** A lab whose rules make calls that it records. */
async function labWithCalls() {
  const lab = await startLab()
  const create = (ruleName: string, sql: string, action: Action) =>
    lab.createRule(ruleName, { sql, actions: [action] })
  await create('queued', "SELECT * FROM 'dt/+/t'", { sqs: { queueUrl, roleArn } })
  await create('kept', "SELECT * FROM 'raw/#'", {
    s3: { bucketName: 'kept', key: '${topic()}', roleArn },
  })
  const { client } = await lab.connect('pump')
  const publish = (topic: string, payload: string | Buffer) =>
    client.publishAsync(topic, payload, { qos: 1 })
  return { ...lab, publish, at: (path: string) => `${lab.url}/console/${path}` }
}

const textOf = (page: Page) => page.locator('main').innerText()

describe.skipIf(!isBrowserThere)(`recorded calls${whySkipped}`, () => {
  test('come as they are made, with their body, their rule and their message', async () => {
    const { at, publish } = await labWithCalls()
    const page = await open(at('calls'))
    await page.getByText('The lab has recorded no call.').waitFor()
    await publish('dt/7/t', JSON.stringify({ n: hostile }))
    await page.getByRole('heading', { name: 'Calls: 1 recorded' }).waitFor()
    await page.getByRole('button', { name: /sqs SendMessage/ }).click()
    await page.getByRole('button', { name: 'JSON' }).waitFor()
    const text = await textOf(page)
    expect(text).toContain(queueUrl)
    expect(text).toContain('"n": "<script>alert(1)</script>\\u202e')
    expect(text).toMatch(/made by queued, actions\[0\], for the message \S+ of dt\/7\/t/)
    const links = page.locator('.call-list').getByRole('link')
    expect(await links.nth(0).getAttribute('href')).toBe('/console/rules/queued')
    expect(await links.nth(1).getAttribute('href')).toMatch(/^\/console\/live\?message=[\w-]+$/)
    // Another call does not close what somebody reads.
    await publish('dt/8/t', '{}')
    await page.getByRole('button', { name: '1 newer call' }).click()
    await page.getByRole('heading', { name: 'Calls: 2 recorded' }).waitFor()
    expect(await page.locator('.call-list > ol > li').count()).toBe(2)
    expect(await textOf(page)).toContain(queueUrl)
  })

  test('are filtered by rule and kind, and a link shows the same; bytes stand in hex', async () => {
    const { at, publish } = await labWithCalls()
    await publish('dt/7/t', '{}')
    await publish('raw/1', Buffer.from([0xff, 0x00, 0x41]))
    const page = await open(at('calls'))
    await page.getByRole('heading', { name: 'Calls: 2 recorded' }).waitFor()
    await page.getByLabel('Kind of action').fill('s3')
    await page.getByLabel('Kind of action').press('Enter')
    await page.getByRole('heading', { name: 'Calls: 1 recorded like that' }).waitFor()
    expect(page.url()).toBe(at('calls?kind=s3'))
    await page.getByRole('button', { name: /s3 PutObject/ }).click()
    await page.getByText('ff 00 41').waitFor()
    await page.goto(at('calls?rule=queued&kind=s3'))
    await page.getByText('No recorded call is like that.').waitFor()
    await page.getByRole('link', { name: 'Show all calls' }).click()
    await page.getByRole('heading', { name: 'Calls: 2 recorded' }).waitFor()
    expect(await page.getByLabel('Rule', { exact: true }).inputValue()).toBe('')
  })

  test('that are many are cut to the newest, and the page says so', async () => {
    const { at, publish } = await labWithCalls()
    await Promise.all(Array.from({ length: 230 }, (_, n) => publish(`dt/${n}/t`, `{"n": ${n}}`)))
    const page = await open(at('calls'))
    await page.getByRole('heading', { name: 'Calls: the newest 200 of 230 recorded' }).waitFor()
    expect(await page.locator('.call-list > ol > li').count()).toBe(200)
  })

  test.each(
    viewports.flatMap((viewport) => colourSchemes.map((scheme) => [viewport, scheme] as const)),
  )('at %j, %s: nothing serious for axe-core, and no wider', async (viewport, colorScheme) => {
    const { at, publish } = await labWithCalls()
    const key = 'k'.repeat(180)
    await publish('dt/7/t', JSON.stringify({ key }))
    await publish(`raw/${key}`, Buffer.from([0xff, 0x00, 0x41]))
    const page = await open(at('calls'), { viewport, colorScheme })
    await page.getByRole('heading', { name: 'Calls: 2 recorded' }).waitFor()
    await page.locator('.call-list .message').first().click()
    await page.getByText('ff 00 41').waitFor()
    expect(await faultsOf(page)).toEqual([])
  })
})

test.skipIf(!isBrowserThere)(
  `an engine that sends to AWS says that a lab alone records calls${whySkipped}`,
  async () => {
    const { url } = await startServer()
    const page = await open(`${url}/console/calls`)
    await page.getByText('This engine makes its calls: a lab alone records them.').waitFor()
    expect(await textOf(page)).toContain('sluice lab')
  },
)
