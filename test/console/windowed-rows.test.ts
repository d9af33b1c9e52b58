import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import { describe, expect, test } from 'vitest'
import { startLab } from '../app/lab-fixtures.ts'
import { isBrowserThere, useBrowser, whySkipped } from './browser.ts'

const axeFile = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const open = useBrowser()
const count = 10_000
const drawnMax = 100

/** The page of so many rules; the engine behind it would take some time to make them. */
async function manyRules(): Promise<Page> {
  const { url } = await startLab()
  const page = await open(`${url}/console/`)
  const rules = Array.from({ length: count }, (_, index) => ({
    ruleName: `rule_${index}`,
    topicPattern: `dt/${index}/t`,
    ruleDisabled: index % 7 === 0,
  }))
  await page.route(/\/rules(\?|$)/, (route) => route.fulfill({ json: { rules } }))
  await page.route(/\/stats$/, (route) => route.fulfill({ json: { evaluations: {} } }))
  await page.getByRole('navigation').getByRole('link', { name: 'Rules' }).click()
  await rowOf(page, 'rule_0').waitFor()
  return page
}

const rowOf = (page: Page, name: string) => page.getByRole('link', { name, exact: true })
const drawn = (page: Page) => page.locator('tbody tr[aria-rowindex]').count()
const focused = (page: Page) =>
  page.evaluate<[string, boolean]>(`(() => {
    const { top, bottom } = document.activeElement.getBoundingClientRect()
    return [document.activeElement.innerText, top >= 0 && bottom <= innerHeight]
  })()`)

describe.skipIf(!isBrowserThere)(`a table of ${count} rows${whySkipped}`, () => {
  test('draws those in sight, and says where they are among all', async () => {
    const page = await manyRules()
    expect(await drawn(page)).toBeLessThan(drawnMax)
    expect(await page.getByRole('table').getAttribute('aria-rowcount')).toBe('10001')
    await page.evaluate('scrollTo(0, document.body.scrollHeight)')
    await rowOf(page, 'rule_9999').waitFor()
    expect(await drawn(page)).toBeLessThan(drawnMax)
    const last = page.locator('tr', { has: rowOf(page, 'rule_9999') })
    expect(await last.getAttribute('aria-rowindex')).toBe('10001')
    expect((await last.boundingBox())?.y).toBeLessThan(800)
    await page.evaluate(readFileSync(axeFile, 'utf8'))
    expect(await page.evaluate("axe.run('main').then(({ violations }) => violations)")).toEqual([])
  })

  test('is walked through by keyboard, and keeps the focus when it is scrolled', async () => {
    const page = await manyRules()
    await rowOf(page, 'rule_0').focus()
    for (const [key, name] of [
      ['End', 'rule_9999'],
      ['ArrowUp', 'rule_9998'],
      ['Home', 'rule_0'],
      ['ArrowDown', 'rule_1'],
      ['Tab', 'rule_2'],
    ] as const) {
      await page.keyboard.press(key)
      await expect.poll(() => focused(page), { timeout: 5_000 }).toEqual([name, true])
    }
    await page.mouse.wheel(0, 100_000)
    await rowOf(page, 'rule_2940').waitFor()
    expect(await focused(page)).toEqual(['rule_2', false])
  })
})
