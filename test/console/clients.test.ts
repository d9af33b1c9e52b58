import { describe, expect, test } from 'vitest'
import { startLab } from '../app/lab-fixtures.ts'
import { faultsOf } from './axe.ts'
import { colourSchemes, isBrowserThere, useBrowser, viewports, whySkipped } from './browser.ts'

const open = useBrowser()
const hostile = '<img src=x onerror=alert(1)>\u202e'

describe.skipIf(!isBrowserThere)(`the page of clients${whySkipped}`, { timeout: 60_000 }, () => {
  test('clients are found, and one is looked at and disconnected', async () => {
    const { url, connect } = await startLab()
    const { client } = await connect('pump-7', ['dt/+/t', '$share/g/cmd/#'])
    await connect(hostile)
    const page = await open(`${url}/console/clients`)
    page.setDefaultTimeout(10_000)
    await page.getByRole('heading', { name: 'Clients: 2 connected' }).waitFor()
    expect(await page.locator('main').innerText()).toContain('onerror=alert(1)>\\u202e')
    await page.getByLabel('Gets messages of topic').fill('dt/1/t')
    await page.getByRole('heading', { name: 'Clients: 1 of 2 connected' }).waitFor()
    await page.getByRole('link', { name: 'pump-7' }).click()
    await page.getByRole('heading', { name: 'Subscriptions, 2' }).waitFor()
    for (let count = 0; count < 3; count++) await client.publishAsync('x', '{}', { qos: 1 })
    await page.getByText(/^3, [\d.]+ a second$/).waitFor()
    const text = await page.locator('main').innerText()
    expect(text).toMatch(/\$share\/g\/cmd\/#\s+g\s/)
    const gone = new Promise<void>((resolve) => client.once('close', () => resolve()))
    await page.getByRole('button', { name: 'Disconnect ...' }).click()
    await page.getByText('Its 2 subscriptions and 0 waiting messages').waitFor()
    await page.getByRole('button', { name: 'Disconnect pump-7' }).click()
    await gone
  })

  test('10,000 clients are listed, and the first can be read within a second', async () => {
    const { url } = await startLab()
    const page = await open(`${url}/console/`)
    page.setDefaultTimeout(10_000)
    const all = Array.from({ length: 10_000 }, (_, index) => ({
      clientId: `sensor-${String(index).padStart(5, '0')}`,
      protocolVersion: '5',
      transport: 'tcp',
      connectedSince: 1_700_000_000_000,
      keepAliveDuration: 60,
      cleanStart: true,
      subscriptionCount: 1,
      queued: 0,
      inFlight: 0,
      messagesIn: index,
      messagesOut: 0,
    }))
    await page.route(/\/v1\/clients\?/, (route) => {
      const from = Number(new URL(route.request().url()).searchParams.get('nextToken') ?? 0)
      const json = { clients: all.slice(from, from + 1_000), connectedCount: all.length }
      const nextToken = from + 1_000 < all.length ? String(from + 1_000) : undefined
      return route.fulfill({ json: { ...json, nextToken } })
    })
    await page.evaluate(`
      addEventListener('click', () => (globalThis.clickedAt = performance.now()), true)
      new MutationObserver(() => {
        if (document.querySelector('td')) globalThis.seenAt ??= performance.now()
      }).observe(document.body, { childList: true, subtree: true })
    `)
    await page.getByRole('navigation').getByRole('link', { name: 'Clients' }).click()
    await page.getByRole('heading', { name: 'Clients: 10,000 connected' }).waitFor()
    const waited = await page.evaluate<number>('globalThis.seenAt - globalThis.clickedAt')
    expect(waited).toBeLessThan(1_000)
    await expect
      .poll(() => page.getByRole('table').getAttribute('aria-rowcount'), { timeout: 10_000 })
      .toBe('10001')
    await page.evaluate('scrollTo(0, document.body.scrollHeight)')
    await page.getByRole('link', { name: 'sensor-09999' }).waitFor()
  })

  test('axe-core finds nothing serious', async () => {
    const { url, connect } = await startLab()
    await connect('pump-7', ['dt/+/t'])
    for (const viewport of viewports) {
      for (const colorScheme of colourSchemes) {
        const page = await open(`${url}/console/clients`, { viewport, colorScheme })
        await page.getByRole('link', { name: 'pump-7' }).waitFor()
        const name = `${viewport.width}-${colorScheme}.png`
        if (process.env['SCREENSHOTS'])
          await page.screenshot({ path: `${process.env['SCREENSHOTS']}/clients-${name}` })
        expect(await faultsOf(page)).toEqual([])
        await page.getByRole('link', { name: 'pump-7' }).click()
        await page.getByRole('button', { name: 'Disconnect ...' }).click()
        await page.getByRole('heading', { name: 'Subscriptions, 1' }).waitFor()
        if (process.env['SCREENSHOTS'])
          await page.screenshot({ path: `${process.env['SCREENSHOTS']}/client-${name}` })
        expect(await faultsOf(page)).toEqual([])
      }
    }
  })
})
