import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest'

/** Debian's and Ubuntu's names, and what SLUICE_TEST_BROWSER says. */
const candidates = [
  process.env['SLUICE_TEST_BROWSER'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]
const executablePath = candidates.find((file) => file !== undefined && existsSync(file))

export const isBrowserThere = executablePath !== undefined
/** For the names of tests that are skipped. */
export const whySkipped = isBrowserThere ? '' : ' (there is no Chromium: apt-get install chromium)'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export const viewports = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
] as const
export const colourSchemes = ['light', 'dark'] as const

interface OpenOptions {
  readonly viewport?: { readonly width: number; readonly height: number }
  readonly colorScheme?: 'light' | 'dark'
}

/**
 * A browser for the tests of a file.
 *
 * @returns opens a page, on which a fault of a script or a refusal of the content policy fails the
 *   test
 */
export function useBrowser() {
  let browser: Browser | undefined
  beforeAll(async () => {
    if (executablePath) browser = await chromium.launch({ executablePath, args: flags })
  })
  afterAll(() => browser?.close())

  return async (url: string, options: OpenOptions = {}): Promise<Page> => {
    if (!browser) throw new Error('there is no browser')
    const context = await browser.newContext({
      viewport: { ...(options.viewport ?? viewports[0]) },
      ...(options.colorScheme && { colorScheme: options.colorScheme }),
    })
    onTestFinished(() => context.close())
    const page = await context.newPage()
    const faults: string[] = []
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('console', (message) => {
      // Chromium logs each answer of 4xx by itself.
      const isRefusal = message.text().startsWith('Failed to load resource')
      if (message.type() === 'error' && !isRefusal) faults.push(message.text())
    })
    onTestFinished(() => expect(faults).toEqual([]))
    await page.goto(url)
    return page
  }
}
