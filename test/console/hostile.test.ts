import { describe, expect, test } from 'vitest'
import { startLab } from '../app/lab-fixtures.ts'
import { isBrowserThere, useBrowser, whySkipped } from './browser.ts'

const open = useBrowser()

describe.skipIf(!isBrowserThere)(`bad input${whySkipped}`, { timeout: 120_000 }, () => {
  test('what is typed in an editor is text, not the keys of the page', async () => {
    const { url } = await startLab()
    const page = await open(`${url}/console/rules?new=1`)
    const statement = page.getByLabel('Statement')
    await statement.fill('')
    await statement.pressSequentially("SELECT gr FROM 'a/b'")
    expect(await statement.innerText()).toContain("SELECT gr FROM 'a/b'")
    expect(page.url()).toContain('rules?new=1')
  })
})
