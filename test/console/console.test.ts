import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { gzipSync } from 'node:zlib'
import type { Action } from '@aws-sdk/client-iot'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { consoleFolder, readConsoleFiles } from '../../src/http/console/console-files.ts'
import { startLab } from '../app/lab-fixtures.ts'
import { messageWith } from '../helpers/messages.ts'
import { startGuarded } from '../http/guarded-server.ts'
import type { TestKey } from '../http/guarded-server.ts'
import { colourSchemes, isBrowserThere, useBrowser, viewports, whySkipped } from './browser.ts'

const axeFile = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const role = 'arn:aws:iam::000000000000:role/any'
const open = useBrowser()

/** A lab with a rule that works and one whose action fails, and a message for each. */
async function labWithMessages() {
  const lab = await startLab()
  const create = (ruleName: string, sql: string, actions: Action[]) =>
    lab.createRule(ruleName, { sql, actions })
  await create('hot', "SELECT * FROM 'dt/+/t' WHERE temp > 50", [
    { kinesis: { streamName: 'hot', partitionKey: '${topic(2)}', roleArn: role } },
  ])
  await create('broken', "SELECT * FROM 'bad'", [
    { kinesis: { streamName: '${topic()}/x', partitionKey: 'k', roleArn: role } },
  ])
  await create('queued', "SELECT * FROM 'dt/+/t'", [
    { sqs: { queueUrl: 'https://sqs.us-east-1.amazonaws.com/000000000000/q', roleArn: role } },
  ])
  const { client } = await lab.connect('pump')
  const publish = (topic: string, payload: string) =>
    client.publishAsync(topic, payload, { qos: 1 })
  await publish('dt/7/t', '{"temp": 61.5}')
  await publish('bad', '{"n": "<script>alert(1)</script>\u202e"}')
  return { ...lab, publish, at: (path: string) => `${lab.url}/console/${path}` }
}

/** Chromium's own text of the page, as a person reads it. */
const textOf = (page: Page) => page.locator('main').innerText()

describe.skipIf(!isBrowserThere)(`the console${whySkipped}`, () => {
  test('a rule is written, tried, broken, mended and created', async () => {
    const { url, at } = await labWithMessages()
    const page = await open(`${url}/`)
    await page.getByRole('navigation').getByRole('link', { name: 'Rules' }).click()
    await page.getByRole('heading', { name: 'Rules: 4 of 4 enabled' }).waitFor()
    await page.getByRole('link', { name: 'New rule' }).click()
    await page.getByLabel('Name', { exact: true }).fill('cold')
    const statement = page.getByLabel('Statement')
    await statement.fill("SELECT temp FROM 'dt/+/t' WHERE temp <")
    await page.locator('.fault-list').getByText('line 1, column').waitFor()
    await statement.fill("SELECT temp FROM 'dt/+/t' WHERE temp < 10 AND room = 'x'")
    await page.getByLabel('Topic', { exact: true }).fill('dt/7/t')
    await page.getByLabel('Payload').fill('{"temp": 12}')
    await page.getByText('WHERE is false, not true').waitFor()
    expect(await textOf(page)).toMatch(/temp < 10 is false[^]*temp is 12/)
    await page.getByLabel('Payload').fill('{"temp": 2, "room": "x"}')
    await page.getByText('kinesis hot-devices, key').waitFor()
    await page.getByRole('button', { name: 'Create' }).click()
    await page.getByRole('heading', { name: 'cold', exact: true }).waitFor()
    expect(page.url()).toBe(at('rules/cold'))
  })

  test('a rule is changed after a look at the difference, disabled and deleted', async () => {
    const { at } = await labWithMessages()
    const page = await open(at('rules/hot'))
    await page.getByLabel('Statement').fill("SELECT * FROM 'dt/+/t' WHERE temp > 90")
    await page.getByRole('button', { name: 'Save ...' }).click()
    const changes = page.getByRole('group', { name: 'What changes' })
    expect(await changes.innerText()).toMatch(/- SELECT .* > 50\n\+ SELECT .* > 90/)
    await changes.getByRole('button', { name: 'Save' }).click()
    await changes.waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Disable' }).click()
    await page.getByRole('button', { name: 'Enable' }).waitFor()
    await page.getByRole('button', { name: 'Delete ...' }).click()
    const remove = page.getByRole('button', { name: 'Delete hot' })
    expect(await remove.isDisabled()).toBe(true)
    await page.getByLabel('Write its name to delete it').fill('hot')
    await remove.click()
    await page.getByRole('heading', { name: 'Rules: 3 of 3 enabled' }).waitFor()
  })

  test('a message is followed to its sequence number, and a link shows the same', async () => {
    const { at, publish } = await labWithMessages()
    const page = await open(at('live?topic=dt/%23'))
    await page.getByRole('heading', { name: 'live', exact: false }).waitFor()
    // The page reads events once the engine has answered it.
    await expect
      .poll(
        async () => {
          await publish('dt/8/t', '{"temp": 70}')
          return page.locator('.messages > li').count()
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0)
    const row = page.locator('.messages > li').last()
    await row.getByText('delivered').waitFor()
    await row.getByRole('button').click()
    const path = await row.innerText()
    expect(path).toMatch(/hot matched\s+kinesis queued, key 8/)
    expect(path).toMatch(/shardId-\d{12}, sequence number \d{56}/)
    expect(path).toContain('pump')
  })

  test('dead letters are grouped, looked into, replayed and deleted; hostile text stays text', async () => {
    const { at } = await labWithMessages()
    const page = await open(at('dead-letters'))
    await page.getByRole('heading', { name: 'Dead letters: 1' }).waitFor()
    await page.locator('.letters button').first().click()
    const text = await textOf(page)
    expect(text).toContain('"<script>alert(1)</script>\\u202e"')
    expect(text).toContain('bad/x')
    await page.getByRole('button', { name: 'Replay all' }).click()
    await page.getByText('0 are sent again. 1 stay').waitFor()
    await page.getByRole('button', { name: 'Delete for good' }).click()
    await page.getByText('There are no dead letters.').waitFor()
  })

  test('the overview names what needs a look', async () => {
    const { at } = await labWithMessages()
    const page = await open(at(''))
    await page.getByRole('link', { name: '1 dead letter needs a look' }).waitFor()
    await page.getByRole('row', { name: /kinesis hot delivers/ }).waitFor()
    expect(await textOf(page)).toMatch(/Records delivered[^]*Ledger balances/)
  })

  test('calls that the lab recorded are shown', async () => {
    const { at } = await labWithMessages()
    const page = await open(at('calls'))
    await page.getByText('sqs SendMessage').first().click()
    await page.getByText('QueueUrl').waitFor()
    expect(await textOf(page)).toContain('made by queued')
  })

  test('links work by keyboard and by the Back button', async () => {
    const { at } = await labWithMessages()
    const page = await open(at(''))
    await page.getByRole('heading', { name: /^Overview/ }).waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('r')
    // The overview has a heading of that name, too.
    await page.locator('[data-filter]').waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('hot')
    await page.getByRole('row').nth(1).getByRole('link', { name: 'hot' }).waitFor()
    expect(page.url()).toBe(at('rules?find=hot'))
    await page.goBack()
    await page.getByRole('heading', { name: /^Overview/ }).waitFor()
  })
})

const reader: TestKey = {
  accessKeyId: 'READER',
  secretAccessKey: 'secret-of-the-reader',
  statement: {
    Effect: 'Allow',
    Action: ['iot:ListTopicRules', 'sluice:GetRuleStatistics', 'sluice:WatchMessages'],
    Resource: '*',
  },
}

test.skipIf(!isBrowserThere)(
  `where requests are signed, the page signs with a key and shows what it may see${whySkipped}`,
  async () => {
    const { url, engine } = await startGuarded({ keys: [reader] })
    const page = await open(`${url}/console/rules`)
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    const signIn = async (secret: string) => {
      await page.getByLabel('Access key id').fill('READER')
      await page.getByLabel('Secret access key').fill(secret)
      await page.getByLabel('Region').fill('eu-central-1')
      await page.getByRole('button', { name: 'Sign in' }).click()
    }
    await signIn('wrong')
    await page.getByRole('alert').waitFor()
    await signIn(reader.secretAccessKey)
    await page.getByText('There are no rules yet.').waitFor()
    await page.getByRole('link', { name: 'Dead letters' }).click()
    await page.getByText('This access key may not see it').waitFor()
    await page.getByRole('link', { name: 'Live' }).click()
    await expect
      .poll(
        async () => {
          await engine.ingest(messageWith())
          return page.locator('.messages > li').count()
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(0)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    expect(await page.evaluate('sessionStorage.length')).toBe(0)
  },
)

test.skipIf(!isBrowserThere)(
  `the browser's own EventSource reads the events${whySkipped}`,
  async () => {
    const { at, publish } = await labWithMessages()
    const page = await open(at(''))
    await page.evaluate(`
      globalThis.seen = []
      const source = new EventSource('/v1/events')
      for (const name of ['message', 'durable', 'delivered']) {
        source.addEventListener(name, (event) => seen.push([name, JSON.parse(event.data).messageId]))
      }
      new Promise((resolve) => source.addEventListener('open', resolve))
    `)
    await publish('dt/9/t', '{"temp": 70}')
    await page.waitForFunction("globalThis.seen.some(([name]) => name === 'delivered')")
    const seen = await page.evaluate<[string, string][]>('globalThis.seen')
    expect(seen[0]?.[0]).toBe('message')
    expect(new Set(seen.map(([, messageId]) => messageId)).size).toBe(1)
  },
)

interface AxeResult {
  readonly violations: readonly {
    readonly id: string
    readonly impact: string
    readonly nodes: readonly { readonly html: string }[]
  }[]
}

const pages = [
  '',
  'live',
  'rules',
  'rules/hot',
  'rules?new=1',
  'try-it',
  'try-it/hot',
  'streams',
  'streams/hot?from=TRIM_HORIZON',
  'functions',
  'dead-letters',
  'calls',
  'faults',
  'absent',
]
const placesFile = new URL('../../console/src/shell/pages.ts', import.meta.url)
const placeCount = readFileSync(placesFile, 'utf8').match(/^ {4}page: '/gm)?.length

describe
  .skipIf(!isBrowserThere)
  .each(
    viewports.flatMap((viewport) =>
      colourSchemes.map((colorScheme) => [viewport.width, colorScheme, viewport] as const),
    ),
  )(`at %i pixels, %s${whySkipped}`, (_width, colorScheme, viewport) => {
  test('axe-core finds nothing serious, and no page is wider than the window', async () => {
    const { at } = await labWithMessages()
    const page = await open(at(''), { viewport, colorScheme })
    for (const path of pages) {
      await page.goto(at(path))
      await page.getByRole('heading', { level: 1 }).waitFor()
      // What was read from the engine has come when nothing says that it is awaited.
      await page.locator('.loading').waitFor({ state: 'detached' })
      await page.evaluate(readFileSync(axeFile, 'utf8'))
      const { violations } = await page.evaluate<AxeResult>('axe.run()')
      const serious = violations
        .filter(({ impact }) => impact === 'serious' || impact === 'critical')
        .map(({ id, nodes }) => `${path} ${id}: ${nodes.map(({ html }) => html).join(' ')}`)
      expect(serious).toEqual([])
      const overflow = await page.evaluate<number>(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      )
      expect([path, overflow]).toEqual([path, 0])
      const links = await page.getByRole('navigation').getByRole('link').count()
      expect([path, links]).toEqual([path, placeCount])
    }
  }, 120_000)
})

test('the files of the console are small', async () => {
  const files = [...(await readConsoleFiles(consoleFolder))]
  const kibibytes = (wanted: (name: string) => boolean) =>
    files
      .filter(([name]) => wanted(name))
      .reduce((sum, [, { bytes }]) => sum + gzipSync(bytes).length, 0) / 1_024
  expect(files.length).toBeGreaterThan(0)
  expect(kibibytes((name) => name.includes('index'))).toBeLessThanOrEqual(150)
  expect(kibibytes(() => true)).toBeLessThanOrEqual(400)
})
