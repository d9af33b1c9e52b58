import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, onTestFinished, test } from 'vitest'
import { setPassword } from '../../src/identity/passwords/password-file.ts'
import { startLab } from '../app/lab-fixtures.ts'
import type { Lab } from '../app/lab-fixtures.ts'
import { faultsOf } from './axe.ts'
import { colourSchemes, isBrowserThere, useBrowser, viewports, whySkipped } from './browser.ts'

const open = useBrowser()

async function connected({ url }: Pick<Lab, 'url'>, options = {}): Promise<Page> {
  const page = await open(`${url}/console/mqtt-client`, options)
  page.setDefaultTimeout(10_000)
  await page.getByLabel('Client id').fill('the-page')
  await page.getByRole('button', { name: 'Connect' }).click()
  await page.getByRole('heading', { name: 'MQTT client: connected' }).waitFor()
  return page
}

async function subscribe(page: Page, filter: string): Promise<void> {
  await page.getByLabel('Topic filter').fill(filter)
  await page.getByRole('button', { name: 'Subscribe', exact: true }).click()
  await page.getByRole('button', { name: `Unsubscribe from ${filter}` }).waitFor()
}

describe.skipIf(!isBrowserThere)(`the MQTT client${whySkipped}`, { timeout: 60_000 }, () => {
  test("what the page publishes reaches a device's own client, with its properties", async () => {
    const lab = await startLab()
    const { client } = await lab.connect('device', ['out/#'])
    const page = await connected(lab)
    const received = new Promise<readonly [string, string, number]>((resolve) =>
      client.once('message', (topic, payload, { qos }) =>
        resolve([topic, payload.toString(), qos]),
      ),
    )
    await subscribe(page, 'out/+')
    await page.getByLabel('Topic', { exact: true }).fill('out/1')
    await page.getByLabel('Payload').fill('{"n": 1}')
    await page.getByText('Properties of MQTT 5').click()
    await page.getByLabel('Content type').fill('application/json')
    await page.getByLabel(/^User properties/).fill('unit: kPa\nunit: bar')
    await page.getByRole('button', { name: 'Publish' }).click()
    await page.getByText('Taken by the engine: out/1').waitFor()
    expect(await received).toEqual(['out/1', '{"n": 1}', 1])
    await page.getByRole('heading', { name: 'Messages, 1' }).waitFor()
    await page.locator('.received button').first().click()
    const text = await page.locator('.received').innerText()
    expect(text).toMatch(/application\/json\s+unit\s+kPa\s+unit\s+bar[^]*"n": 1[^]*8 bytes/)
  })

  test('hostile, binary and many messages are shown, and the view pauses', async () => {
    const lab = await startLab()
    const { client } = await lab.connect('device')
    const page = await connected(lab)
    await subscribe(page, 'dt/#')
    await client.publishAsync('dt/x', '<script>alert(1)</script>\u202e', { qos: 1 })
    await client.publishAsync('dt/binary', Buffer.from([0xff, 0x00, 0x01]), {
      qos: 1,
      retain: true,
    })
    await client.publishAsync('dt/large', 'x'.repeat(131_072), { qos: 1 })
    await page.getByRole('heading', { name: 'Messages, 3' }).waitFor()
    expect(await page.locator('.received').innerText()).toContain(
      '<script>alert(1)</script>\\u202e',
    )
    await page.locator('.received button', { hasText: 'dt/binary' }).click()
    await page.getByText('ff 00 01').waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    await Promise.all(
      Array.from({ length: 1_100 }, (_, index) =>
        client.publishAsync('dt/n', `${index}`, { qos: 1 }),
      ),
    )
    await page.getByRole('heading', { name: 'Messages, 3' }).waitFor()
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByRole('heading', { name: 'Messages, 1,103' }).waitFor()
    await page.getByText('103 older ones are not kept.').waitFor()
    expect(await page.locator('.received > li').count()).toBe(100)
  })

  test('a refusal and an interruption are sentences, and it goes on', async () => {
    const lab = await startLab()
    const page = await connected(lab)
    await subscribe(page, 'dt/#')
    await page.getByLabel('Topic filter').fill('bad/#/filter')
    await page.getByRole('button', { name: 'Subscribe', exact: true }).click()
    await page.getByRole('alert').waitFor()
    await lab.connect('the-page')
    const why = page.getByText('another client has connected with this client id')
    await why.waitFor()
    expect(await why.innerText()).toContain('It is tried again.')
  })

  test('a user signs in with a password, and a wrong one is told', async () => {
    const lab = await startLab(onTestFinished, async (folder) => {
      const file = join(folder, 'passwords')
      await setPassword(file, { user: 'operator', password: 'right' })
      return { SLUICE_PASSWORD_FILE: file, SLUICE_MQTT_ANONYMOUS: 'off' }
    })
    const page = await open(`${lab.url}/console/mqtt-client`)
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('alert').waitFor()
    await page.getByLabel('Sign in by').selectOption('user')
    await page.getByLabel('User', { exact: true }).fill('operator')
    for (const [password, heading] of [
      ['wrong', 'MQTT client: not connected'],
      ['right', 'MQTT client: connected'],
    ] as const) {
      await page.getByLabel('Password', { exact: true }).fill(password)
      await page.getByRole('button', { name: 'Connect' }).click()
      await page.getByRole('heading', { name: heading }).waitFor()
      if (password === 'wrong') await page.getByRole('alert').waitFor()
    }
    const clients = await fetch(`${lab.url}/v1/clients`)
    expect(await clients.text()).toContain('"principal":"operator"')
  })

  test('axe-core finds nothing serious', async () => {
    const lab = await startLab()
    const { client } = await lab.connect('device')
    for (const viewport of viewports) {
      for (const colorScheme of colourSchemes) {
        const name = `${viewport.width}-${colorScheme}.png`
        const page = await open(`${lab.url}/console/mqtt-client`, { viewport, colorScheme })
        await page.getByRole('button', { name: 'Connect' }).waitFor()
        const folder = process.env['SCREENSHOTS']
        if (folder) await page.screenshot({ path: `${folder}/mqtt-off-${name}` })
        expect(await faultsOf(page)).toEqual([])
        await page.close()
        const at = await connected(lab, { viewport, colorScheme })
        await subscribe(at, 'dt/#')
        await subscribe(at, 'cmd/+')
        for (const topic of ['dt/7/telemetry', 'cmd/7']) {
          await client.publishAsync(topic, '{"temp": 61.5}', { qos: 1 })
        }
        await at.getByRole('heading', { name: 'Messages, 2' }).waitFor()
        await at.locator('.received button').first().click()
        if (folder) await at.screenshot({ path: `${folder}/mqtt-${name}`, fullPage: true })
        expect(await faultsOf(at)).toEqual([])
        await at.close()
      }
    }
  })
})
