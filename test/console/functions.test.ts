import { LambdaClient, ListEventSourceMappingsCommand } from '@aws-sdk/client-lambda'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startLab } from '../app/lab-fixtures.ts'
import { isBrowserThere, useBrowser, whySkipped } from './browser.ts'

const open = useBrowser()

describe.skipIf(!isBrowserThere)(`functions${whySkipped}`, () => {
  test('are invoked with an event, and a mapping is disabled, as the SDK sees it', async () => {
    const lab = await startLab()
    const lambda = new LambdaClient({
      endpoint: lab.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
    })
    onTestFinished(() => lambda.destroy())
    const stateOfMapping = async () => {
      const { EventSourceMappings = [] } = await lambda.send(new ListEventSourceMappingsCommand({}))
      return EventSourceMappings[0]?.State
    }
    const page = await open(`${lab.url}/console/functions`)
    await page.getByRole('heading', { name: 'Functions: 1, 1 of 1 mappings enabled' }).waitFor()
    await page.getByRole('button', { name: 'Disable hot-devices to print_readings' }).click()
    await page.getByRole('heading', { name: '0 of 1 mappings enabled' }).waitFor()
    expect(await stateOfMapping()).toBe('Disabled')
    await page.getByRole('button', { name: 'Invoke' }).click()
    await page.getByText('The function returned').waitFor()
    await page.getByRole('textbox', { name: 'Event' }).fill('{"Records": 1}')
    await page.getByRole('button', { name: 'Invoke' }).click()
    await page.getByText('The function failed with').waitFor()
    expect(await page.locator('main').innerText()).toContain('TypeError')
  })
})
