import { CreateThingCommand, IoTClient } from '@aws-sdk/client-iot'
import { GetThingShadowCommand, UpdateThingShadowCommand } from '@aws-sdk/client-iot-data-plane'
import { describe, expect, test } from 'vitest'
import { startLab } from '../app/lab-fixtures.ts'
import { faultsOf } from './axe.ts'
import { colourSchemes, isBrowserThere, useBrowser, viewports, whySkipped } from './browser.ts'

const open = useBrowser()

/** A lab with shadows that a device, by AWS's own client, has reported. */
async function labWithShadows() {
  const lab = await startLab()
  const report = (thingName: string, state: object, shadowName?: string) =>
    lab.data.send(
      new UpdateThingShadowCommand({
        thingName,
        shadowName,
        payload: Buffer.from(JSON.stringify({ state })),
      }),
    )
  const read = async (thingName: string, shadowName?: string) => {
    const answer = await lab.data.send(new GetThingShadowCommand({ thingName, shadowName }))
    return JSON.parse(Buffer.from(answer.payload ?? []).toString()) as {
      state: object
      version: number
    }
  }
  await report('lamp', { desired: { led: 'on', old: 1 }, reported: { led: 'off' } })
  await report('lamp', { reported: { text: '<b>\u202e' } }, 'config')
  const credentials = { accessKeyId: 'any', secretAccessKey: 'any' }
  const iot = new IoTClient({ endpoint: lab.url, region: 'us-east-1', credentials })
  await iot.send(new CreateThingCommand({ thingName: 'pump' }))
  return { ...lab, report, read, at: (path: string) => `${lab.url}/console/shadows${path}` }
}

describe.skipIf(!isBrowserThere)(`the page of shadows${whySkipped}`, { timeout: 60_000 }, () => {
  test('shadows are listed with things that have none, and what is reported is seen', async () => {
    const { at, report } = await labWithShadows()
    const page = await open(at(''))
    page.setDefaultTimeout(10_000)
    await page.getByRole('heading', { name: 'Shadows: 2' }).waitFor()
    const rows = (await page.getByRole('row').allInnerTexts()).map((row) =>
      row.replaceAll('\t', ' '),
    )
    expect(rows.slice(1)).toEqual(['lamp classic 1', 'lamp config 1', 'pump none yet '])
    await page.getByRole('row', { name: 'config' }).getByRole('link').click()
    await page.getByText('<b>\\u202e').waitFor()
    await page.goto(at('/lamp'))
    await page.getByRole('region', { name: 'Delta' }).getByText('"led": "on"').waitFor()
    await report('lamp', { reported: { led: 'on', old: 1 } })
    await page.getByText('The device is as it is desired.').waitFor()
    await page.getByRole('heading', { name: 'Shadow of lamp, version 2' }).waitFor()
  })

  test('what is desired is saved as AWS reads it, and a conflict is told in words', async () => {
    const { at, report, read } = await labWithShadows()
    const page = await open(at('/lamp'))
    page.setDefaultTimeout(10_000)
    const text = page.getByLabel('Change what is desired')
    await text.fill('{"led": ')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('This is no JSON object').waitFor()
    await text.fill('{"led": "blue"}')
    await report('lamp', { reported: { led: 'green' } })
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved as version 3.').waitFor()
    expect(await read('lamp')).toMatchObject({
      version: 3,
      state: { desired: { led: 'blue' }, reported: { led: 'green' } },
    })
    expect((await read('lamp')).state).not.toHaveProperty('desired.old')
    await text.fill('{"led": "mine"}')
    await report('lamp', { desired: { led: 'theirs' } })
    await page.getByText('The shadow has changed while you were writing').waitFor()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('somebody has changed the shadow since you began').waitFor()
    await page.getByRole('button', { name: 'Keep what I wrote' }).click()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved as version 5.').waitFor()
    expect(await read('lamp')).toMatchObject({ state: { desired: { led: 'mine' } } })
  })

  test('a shadow is created, and deleted by its name', async () => {
    const { at, read } = await labWithShadows()
    const page = await open(at(''))
    page.setDefaultTimeout(10_000)
    await page.getByLabel('Thing', { exact: true }).fill('pump')
    await page.getByLabel('Name of the shadow, or nothing').fill('limits')
    await page.getByRole('button', { name: 'Open' }).click()
    await page.getByText('There is no such shadow yet.').waitFor()
    await page.getByLabel('Change what is desired').fill('{"max": 9}')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('heading', { name: 'Shadow limits of pump, version 1' }).waitFor()
    expect(await read('pump', 'limits')).toMatchObject({ state: { desired: { max: 9 } } })
    await page.getByRole('button', { name: 'Delete ...' }).click()
    await page.getByLabel('Write limits to delete it').fill('limits')
    await page.getByRole('button', { name: 'Delete limits' }).click()
    await page.getByRole('heading', { name: 'Shadows: 2' }).waitFor()
    await expect(read('pump', 'limits')).rejects.toThrow('No shadow exists')
  })

  test('axe-core finds nothing serious', async () => {
    const { url, at } = await labWithShadows()
    for (const viewport of viewports) {
      for (const colorScheme of colourSchemes) {
        const page = await open(`${url}/console/shadows`, { viewport, colorScheme })
        await page.getByRole('row', { name: 'pump' }).waitFor()
        const name = `${viewport.width}-${colorScheme}.png`
        if (process.env['SCREENSHOTS'])
          await page.screenshot({ path: `${process.env['SCREENSHOTS']}/shadows-${name}` })
        expect(await faultsOf(page)).toEqual([])
        await page.goto(at('/lamp'))
        await page.getByRole('button', { name: 'Delete ...' }).click()
        if (process.env['SCREENSHOTS'])
          await page.screenshot({
            path: `${process.env['SCREENSHOTS']}/shadow-${name}`,
            fullPage: true,
          })
        expect(await faultsOf(page)).toEqual([])
      }
    }
  })
})
