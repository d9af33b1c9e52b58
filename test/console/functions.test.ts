import { writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  CreateEventSourceMappingCommand,
  LambdaClient,
  ListEventSourceMappingsCommand,
} from '@aws-sdk/client-lambda'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryFolder } from '../consumers/consumer-parts.ts'
import { startLab } from '../app/lab-fixtures.ts'
import { faultsOf } from './axe.ts'
import { isBrowserThere, useBrowser, whySkipped } from './browser.ts'

const open = useBrowser()

function lambdaOf(endpoint: string): LambdaClient {
  const lambda = new LambdaClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })
  onTestFinished(() => lambda.destroy())
  return lambda
}

describe.skipIf(!isBrowserThere)(`functions${whySkipped}`, () => {
  test('are invoked with an event, and a mapping is disabled, as the SDK sees it', async () => {
    const lab = await startLab()
    const lambda = lambdaOf(lab.url)
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

  test.each([1280, 390])(
    'that fail are seen in the last batches of their mapping, at %i pixels',
    async (width) => {
      const functionsDir = temporaryFolder()
      const lab = await startLab(onTestFinished, () => ({ SLUICE_FUNCTIONS_DIR: functionsDir }))
      const lambda = lambdaOf(lab.url)
      writeFileSync(
        path.join(functionsDir, 'picky.mjs'),
        'export const handler = () => { throw new Error("no <b>room</b> \\u202e") }',
      )
      const { EventSourceMappings = [] } = await lambda.send(new ListEventSourceMappingsCommand({}))
      const { UUID } = await lambda.send(
        new CreateEventSourceMappingCommand({
          FunctionName: 'picky',
          EventSourceArn: EventSourceMappings[0]?.EventSourceArn,
          StartingPosition: 'TRIM_HORIZON',
          MaximumRetryAttempts: 0,
          DestinationConfig: {
            OnFailure: { Destination: 'arn:aws:sqs:us-east-1:000000000000:lost' },
          },
        }),
      )
      const { client } = await lab.connect('pump')
      await client.publishAsync('dt/7/telemetry', '{"temp": 61.5}', { qos: 1 })
      const viewport = { width, height: 800 }
      const page = await open(`${lab.url}/console/functions`, { viewport })
      await page.getByRole('button', { name: 'Last batches of hot-devices to picky' }).click()
      await page.getByText('1 record given up').waitFor({ timeout: 20_000 })
      expect(page.url()).toContain(`mapping=${UUID}`)
      expect(await page.locator('.batches').innerText()).toContain('Error: no <b>room</b> \\u202e')
      expect(await faultsOf(page)).toEqual([])
      await page.getByRole('link', { name: 'records the calls' }).click()
      await page.getByRole('heading', { name: 'Calls: 1 recorded like that' }).waitFor()
      await page.getByRole('button', { name: /sqs SendMessage/ }).click()
      await page.getByText('"condition": "RetryAttemptsExhausted"').waitFor()
    },
  )
})
