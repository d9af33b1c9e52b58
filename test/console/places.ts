import type { Page } from 'playwright-core'

/** Places of the console, each with its state; `any` is the name of something. */
export const pages = [
  '',
  'live',
  'rules',
  'rules/any',
  'rules?new=1',
  'try-it',
  'try-it/any',
  'streams',
  'streams/any',
  'functions',
  'dead-letters',
  'clients',
  'clients/any',
  'shadows',
  'shadows/any',
  'calls',
  'faults',
]

/** Goes to a page without loading it again. */
export const follow = (page: Page, path: string) =>
  page.evaluate(
    `history.pushState(null, '', '/console/${path}'); dispatchEvent(new Event('popstate'))`,
  )

/** A picture to look at, when the variable SCREENSHOTS names a folder. */
export async function shot(page: Page, name: string): Promise<void> {
  const folder = process.env['SCREENSHOTS']
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` })
}
