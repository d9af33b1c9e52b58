import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseAccessKeys } from '../../src/identity/access-keys/access-keys.ts'
import { createRecordedCalls } from '../../src/lab/calls/recorded-calls.ts'
import { startLab } from '../app/lab-fixtures.ts'
import { admin, owner, startGuarded } from '../http/guarded-server.ts'
import type { TestKey } from '../http/guarded-server.ts'
import { isBrowserThere, useBrowser, whySkipped } from './browser.ts'
import { follow, pages, shot } from './places.ts'

const open = useBrowser()
const textOf = (page: Page) => page.locator('main:visible').innerText()

async function signIn(page: Page, key: TestKey, region = owner.region): Promise<void> {
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  await page.getByLabel('Access key id').fill(key.accessKeyId)
  await page.getByLabel('Secret access key').fill(key.secretAccessKey)
  await page.getByLabel('Region').fill(region)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor({ state: 'detached' })
}

/** A server whose keys can be taken away. */
async function startRevocable(keys: readonly TestKey[]) {
  const accessKeys = keys.map(({ statement, ...key }) => ({
    ...key,
    policy: {
      Version: '2012-10-17',
      Statement: statement ?? { Effect: 'Allow', Action: '*', Resource: '*' },
    },
  }))
  const known = parseAccessKeys(JSON.stringify({ accessKeys }))
  const current = new Map(known)
  const find = (id: string) => current.get(id)
  const server = await startGuarded({
    dependencies: {
      labCalls: createRecordedCalls(),
      access: {
        keys: { find, count: 1, isUnreadable: () => false },
        owner,
        metricsToken: undefined,
      },
    },
  })
  return {
    ...server,
    at: (path: string) => `${server.url}/console/${path}`,
    revoke: () => current.clear(),
    giveBack: () => {
      for (const [id, key] of known) current.set(id, key)
    },
  }
}

describe.skipIf(!isBrowserThere)(`access keys${whySkipped}`, { timeout: 120_000 }, () => {
  test('a key that ends while a page is open asks for another, and nothing typed is lost', async () => {
    const { at, revoke, giveBack } = await startRevocable([admin])
    const page = await open(at('rules?new=1'))
    await signIn(page, admin)
    const lastCheck = page.waitForResponse((response) => {
      const body = response.request().postData() ?? ''
      return body.includes('secret_word') && body.includes('half_done')
    })
    await page.getByLabel('Name', { exact: true }).fill('half_done')
    await page.getByLabel('Statement').fill("SELECT secret_word FROM 'a'")
    await lastCheck
    revoke()
    await page.getByLabel('Payload').fill('{"temp": 1}')
    await page.getByText('is no longer taken').waitFor()
    await shot(page, 'ended-1280')
    expect(await page.getByLabel('Statement').isVisible()).toBe(false)
    await page.getByLabel('Access key id').fill(admin.accessKeyId)
    await page.getByLabel('Secret access key').fill('wrong')
    await page.getByLabel('Region').fill(owner.region)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').waitFor()
    giveBack()
    await signIn(page, admin)
    expect(await page.getByLabel('Statement').innerText()).toContain('secret_word')
    expect(await page.getByLabel('Name', { exact: true }).inputValue()).toBe('half_done')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    const left = await page.evaluate<string>(
      'document.documentElement.outerHTML + location.href + document.title + JSON.stringify(sessionStorage)',
    )
    expect(left).not.toMatch(/secret_word|half_done|ADMIN/)
    expect(await page.evaluate('sessionStorage.length')).toBe(0)
  })

  test('a key that ends is noticed by every page', async () => {
    const { at, revoke, giveBack } = await startRevocable([admin])
    const page = await open(at(''))
    await signIn(page, admin)
    for (const path of ['', 'live', 'rules', 'streams', 'dead-letters', 'clients', 'shadows']) {
      await follow(page, path)
      await page.getByRole('heading', { level: 1 }).first().waitFor()
      await page.locator('.loading').waitFor({ state: 'detached' })
      revoke()
      if (path === 'live') await follow(page, 'live?topic=other')
      await page.getByText('is no longer taken').waitFor({ timeout: 20_000 })
      giveBack()
      await signIn(page, admin)
      await page.getByRole('alert').waitFor({ state: 'detached' })
      expect(page.url()).toContain(at(path))
    }
  })

  test('a key without any right sees a sentence on every page', async () => {
    const nobody: TestKey = {
      accessKeyId: 'NOBODY',
      secretAccessKey: 'secret-of-nobody',
      statement: { Effect: 'Deny', Action: '*', Resource: '*' },
    }
    const { at } = await startRevocable([nobody])
    const page = await open(at(''))
    await signIn(page, nobody)
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 844 })
      for (const path of pages) {
        await follow(page, path)
        if (path === 'rules?new=1') await page.getByText('Faults are not shown').waitFor()
        await page.getByText('This access key may not').first().waitFor()
        expect([path, await page.getByRole('heading', { level: 1 }).count()]).toEqual([path, 1])
        await shot(page, `nobody-${path.replaceAll(/\W/g, '-')}-${width}`)
      }
    }
  })

  test('a key that may only read is refused in words when it writes', async () => {
    const reader: TestKey = {
      accessKeyId: 'READER',
      secretAccessKey: 'secret-of-the-reader',
      statement: {
        Effect: 'Allow',
        Action: ['iot:List*', 'iot:Get*', 'sluice:Get*', 'sluice:List*', 'sluice:Check*'],
        Resource: '*',
      },
    }
    const { at } = await startRevocable([reader])
    const page = await open(at('rules?new=1'))
    await signIn(page, reader)
    await page.getByLabel('Name', { exact: true }).fill('any')
    await page.getByRole('button', { name: 'Create' }).click()
    await page.getByText('This access key may not do it: ').first().waitFor()
    expect(await textOf(page)).toContain('iot:CreateTopicRule')
    await follow(page, 'shadows/lamp')
    await page.getByLabel('Change what is desired').fill('{"led": "on"}')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('This access key may not do it: ').first().waitFor()
    expect(await page.getByLabel('Change what is desired').inputValue()).toBe('{"led": "on"}')
  })

  test('a page over plain HTTP says that it needs TLS', async () => {
    const { url } = await startRevocable([admin])
    const page = await open('about:blank')
    await page.route('http://sluice.test/**', async (route) => {
      const target = route.request().url().replace('http://sluice.test', url)
      const response = await route.fetch({ url: target })
      // The browser would log that it takes no notice of it here.
      const { 'cross-origin-opener-policy': _policy, ...headers } = response.headers()
      await route.fulfill({ response, headers })
    })
    await page.goto('http://sluice.test/console/rules')
    await page.getByText('Open the console over HTTPS').waitFor()
    expect(await textOf(page)).toContain('SLUICE_TLS_CERT_FILE')
    await shot(page, 'plain-1280')
  })

  test('the MQTT client signs in by the access key of the tab, and publishes', async () => {
    const key = { ...admin, accessKeyId: 'SLUICEKEY' }
    const lab = await startLab(onTestFinished, async (folder) => {
      const file = join(folder, 'credentials.json')
      const policy = {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
      }
      await writeFile(file, JSON.stringify({ accessKeys: [{ ...key, policy }] }), { mode: 0o600 })
      return { SLUICE_CREDENTIALS_FILE: file, SLUICE_AUTH: 'sigv4' }
    })
    const device = await lab.connect('device', ['out/#'])
    const page = await open(`${lab.url}/console/mqtt-client`)
    await signIn(page, key, 'us-east-1')
    await page.getByText('the access key of this tab').waitFor({ state: 'attached' })
    await page.getByLabel('Client id').fill('the-page')
    await page.getByRole('button', { name: 'Connect' }).click()
    await page.getByRole('heading', { name: 'MQTT client: connected' }).waitFor()
    await page.getByLabel('Topic', { exact: true }).fill('out/1')
    await page.getByLabel('Payload').fill('{"n": 1}')
    await page.getByRole('button', { name: 'Publish' }).click()
    expect(await device.next()).toEqual(['out/1', { n: 1 }])
    // Another tab looks, for this page ends its connection when it is left.
    const beside = await open(`${lab.url}/console/clients/the-page`)
    await signIn(beside, key, 'us-east-1')
    await beside.getByText('SLUICEKEY').waitFor()
  })
})
