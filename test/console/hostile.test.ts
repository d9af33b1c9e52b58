import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startLab } from '../app/lab-fixtures.ts'
import { isBrowserThere, useBrowser, whySkipped } from './browser.ts'
import { follow, pages, shot } from './places.ts'

const open = useBrowser()
const roleArn = 'arn:aws:iam::000000000000:role/any'
describe.skipIf(!isBrowserThere)(`bad input${whySkipped}`, { timeout: 120_000 }, () => {
  test('what is typed in an editor is text, and stays when the rule is disabled', async () => {
    const { url, createRule } = await startLab()
    const actions = [{ republish: { topic: 'any', roleArn } }]
    await createRule('any', { sql: "SELECT * FROM 'a/b'", actions })
    const page = await open(`${url}/console/rules/any`)
    const statement = page.getByLabel('Statement')
    await statement.fill('')
    await statement.pressSequentially("SELECT gr FROM 'a/b'")
    expect(await statement.innerText()).toContain("SELECT gr FROM 'a/b'")
    expect(page.url()).toContain('rules/any')
    await page.getByRole('button', { name: 'Disable' }).click()
    await page.getByRole('button', { name: 'Enable' }).waitFor()
    expect(await statement.innerText()).toContain("SELECT gr FROM 'a/b'")
    await page.getByRole('button', { name: 'Save ...' }).click()
    const changes = await page.getByRole('group', { name: 'What changes' }).innerText()
    expect(changes).toContain('+ SELECT gr')
    expect(changes).not.toMatch(/[-+] .*ruleDisabled/)
    // A name in a link that cannot be decoded, and an answer that the page does not know.
    await follow(page, 'rules/%E0%A4%A')
    await page.getByRole('alert').first().waitFor()
    await page.route('**/v1/outbox', (route) => route.fulfill({ json: {} }))
    await follow(page, '')
    await page.getByText('This page cannot be shown').waitFor()
    await page.getByRole('navigation').getByRole('link', { name: 'Live' }).click()
    await page.getByRole('heading', { name: /^Live/ }).waitFor()
  })

  test('hostile messages of 128 KiB are harmless text in every view', async () => {
    const lab = await startLab()
    const { createRule } = lab
    await createRule('broken', {
      sql: "SELECT * FROM '#'",
      description: '<img src=x onerror=hacked()>\u202e',
      actions: [
        { kinesis: { streamName: '${topic()}/x', partitionKey: '${topic()}', roleArn } },
        { sqs: { queueUrl: 'https://sqs.us-east-1.amazonaws.com/000000000000/q', roleArn } },
        { kinesis: { streamName: 'any', partitionKey: '${topic()}', roleArn } },
      ],
    })
    const hostile = '<img src=x onerror=hacked()>\u202e\u2066\u001b[31m'
    const topic = 'dt/<script>hacked()</script>\u202e'
    const text = JSON.stringify({ text: hostile, long: 'x'.repeat(130_000) })
    const payloads = [
      text,
      hostile,
      Buffer.from(Array.from({ length: 131_072 }, (_, n) => n % 256)),
    ]
    const { client } = await lab.connect('c<b>\u202e')
    const publish = () =>
      Promise.all(payloads.map((payload) => client.publishAsync(topic, payload, { qos: 1 })))
    await client.publishAsync(
      '$aws/things/any/shadow/update',
      JSON.stringify({ state: { reported: { text: hostile }, desired: { [hostile]: 1 } } }),
      { qos: 1 },
    )
    await publish()
    const page = await open(`${lab.url}/console/live`)
    await expect
      .poll(
        async () => {
          await publish()
          return page.locator('.messages > li').count()
        },
        { timeout: 30_000 },
      )
      .toBeGreaterThan(2)
    const checked: string[] = []
    const look = async (name: string) => {
      const shown = await page.locator('body').innerText()
      // oxlint-disable-next-line no-control-regex -- this is what must not be there
      expect([name, /[\u0000-\u0008\u001b\u202e\u2066]/.exec(shown)]).toEqual([name, null])
      expect([
        name,
        await page.evaluate("document.querySelectorAll('img, main script').length"),
      ]).toEqual([name, 0])
      const wide = await page.evaluate(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      )
      expect([name, wide]).toEqual([name, 0])
      checked.push(name)
      await shot(page, name.replaceAll('/', '-'))
    }
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 844 })
      await follow(page, 'live')
      await expect
        .poll(
          async () => {
            await publish()
            return page.locator('.messages > li').count()
          },
          { timeout: 30_000 },
        )
        .toBeGreaterThan(2)
      await page.locator('.messages button').nth(1).click()
      await look(`live ${width}`)
      for (const path of [
        ...pages.filter((each) => each !== 'live'),
        `clients/${encodeURIComponent('c<b>\u202e')}`,
      ]) {
        await follow(
          page,
          path.replace(
            'any',
            path.startsWith('rules/') || path.startsWith('try') ? 'broken' : 'any',
          ),
        )
        await page.getByRole('heading', { level: 1 }).first().waitFor()
        await page.locator('.loading').waitFor({ state: 'detached' })
        if (path === 'dead-letters') await page.locator('.letters button').first().click()
        if (path === 'streams/any') await page.locator('.records button').first().click()
        await look(`${path} ${width}`)
      }
    }
    expect(checked).toHaveLength(2 * (pages.length + 1))
  })

  test('a message of 128 KiB can be tried and published', async () => {
    const lab = await startLab()
    const page = await open(`${lab.url}/console/try-it`)
    const long = JSON.stringify({ temp: 61.5, x: 'x'.repeat(130_000) })
    await page.getByLabel('Payload').fill(long)
    await page.getByText('WHERE is true').waitFor()
    await page.goto(`${lab.url}/console/mqtt-client`)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('heading', { name: 'MQTT client: connected' }).waitFor()
    await page.getByLabel('Topic', { exact: true }).fill('a')
    await page.getByLabel('Payload').fill('x'.repeat(200_000))
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByText('it has 200,000 bytes').waitFor()
    await page.getByLabel('Payload').fill(long)
    await expect
      .poll(
        async () => {
          await page.getByRole('button', { name: 'Publish' }).click()
          return page.getByText('Taken by the engine: a').count()
        },
        { timeout: 20_000, interval: 1_000 },
      )
      .toBeGreaterThan(0)
  })

  test('the list of 1,000 rules is quick, and so is its filter', async () => {
    const lab = await startLab()
    const actions = [{ republish: { topic: 'any', roleArn } }]
    for (let first = 0; first < 950; first += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          lab.createRule(`rule_${first + index}`, {
            sql: `SELECT * FROM 'a/${first + index}'`,
            actions,
          }),
        ),
      )
    }
    const page = await open(`${lab.url}/console/dead-letters`)
    await page.getByRole('heading', { name: /^Dead letters/ }).waitFor()
    const begin = performance.now()
    await page.getByRole('link', { name: 'Rules' }).click()
    await page.getByRole('link', { name: 'rule_1', exact: true }).waitFor()
    const firstRowsMs = performance.now() - begin
    const filterMs = await page.evaluate<number>(`(async () => {
      const input = document.querySelector('[data-filter]')
      const begin = performance.now()
      for (const value of ['r', 'ru', 'rul', 'rule', 'rule_', 'rule_9', 'rule_94', 'rule_949']) {
        input.value = value
        input.dispatchEvent(new InputEvent('input', { bubbles: true }))
        await new Promise((resolve) => requestAnimationFrame(resolve))
      }
      return (performance.now() - begin) / 8
    })()`)
    await page.getByRole('row').nth(1).getByRole('link', { name: 'rule_949' }).waitFor()
    // Slack for machines that do other things: 1 s and a frame are what a person should see.
    expect(firstRowsMs).toBeLessThan(5_000)
    expect(filterMs).toBeLessThan(250)
  })

  test('pages say that the engine is away, and go on when it is back', async () => {
    const lab = await startLab(onTestFinished, () => ({ SLUICE_HTTP_PORT: '21951' }))
    const actions = [{ kinesis: { streamName: 'any', partitionKey: 'k', roleArn } }]
    await lab.createRule('any', { sql: "SELECT * FROM 'a'", actions })
    const all = [...pages, 'mqtt-client']
    const opened = await Promise.all(
      all.map(async (path) => {
        const page = await open(`${lab.url}/console/${path}`)
        await page.getByRole('heading', { level: 1 }).waitFor()
        await page.locator('.loading').waitFor({ state: 'detached' })
        return { path, page }
      }),
    )
    await lab.stop()
    for (const { path, page } of opened) {
      const isStill = ['rules/any', 'rules?new=1', 'try-it', 'try-it/any', 'mqtt-client'].includes(
        path,
      )
      if (isStill) continue
      await page.getByText('The engine does not answer.').first().waitFor({ timeout: 40_000 })
    }
    await lab.restart()
    for (const { path, page } of opened) {
      await page
        .getByText('The engine does not answer.')
        .first()
        .waitFor({ state: 'detached', timeout: 40_000 })
      expect([path, await page.getByRole('heading', { level: 1 }).count()]).toEqual([path, 1])
    }
  })

  test('a tab that slept keeps a bounded number of messages', async () => {
    const lab = await startLab()
    const { client } = await lab.connect('pump')
    const page = await open(`${lab.url}/console/live`)
    await expect
      .poll(
        async () => {
          await client.publishAsync('a', '1', { qos: 1 })
          return page.locator('.messages > li').count()
        },
        { timeout: 30_000 },
      )
      .toBeGreaterThan(0)
    await page.clock.install()
    await page.clock.pauseAt(Date.now() + 60_000)
    const publishMany = () =>
      Promise.all(
        Array.from({ length: 200 }, () => client.publishAsync('a', 'x'.repeat(1_000), { qos: 1 })),
      )
    for (let round = 0; round < 30; round++) await publishMany()
    await page.clock.runFor(3_600_000)
    await page.clock.resume()
    // What was on its way may be lost: to the clock of the page, the stream was silent for an hour.
    await expect
      .poll(
        async () => {
          await publishMany()
          return page.getByText(/messages were left out/).count()
        },
        { timeout: 30_000 },
      )
      .toBe(1)
    expect(await page.locator('.messages > li').count()).toBeLessThanOrEqual(200)
    await expect
      .poll(
        async () => {
          await client.publishAsync('after', '1', { qos: 1 })
          return page.locator('.messages').getByText('after').count()
        },
        { timeout: 30_000 },
      )
      .toBeGreaterThan(0)
  })

  test('events that a proxy keeps back are told of', async () => {
    const { url } = await startLab()
    const proxy = createServer((from, to) => {
      const target = new URL(from.url ?? '/', url)
      const isEvents = target.pathname === '/v1/events'
      const { method, headers } = from
      const through = request(target, { method, headers }, (answer) => {
        to.writeHead(answer.statusCode ?? 502, answer.headers)
        if (!isEvents) answer.pipe(to)
        else {
          to.flushHeaders()
          answer.resume()
        }
      })
      to.on('close', () => through.destroy())
      through.on('error', () => to.destroy())
      from.pipe(through)
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      proxy.closeAllConnections()
      proxy.close()
    })
    const page = await open(
      `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/console/live`,
    )
    await page.getByText('a proxy on the way keeps them back').waitFor()
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toContain('not connected')
  })
})
