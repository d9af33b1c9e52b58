import { useLayoutEffect } from 'preact/hooks'
import { readStored, tabStorage } from '../api/storage.ts'

const storageName = (path: string) => `sluice-draft:${path}`

/**
 * What was typed on a page and not saved.
 *
 * @param path of the API where it would be saved
 */
export const keptDraft = (path: string): unknown => readStored(tabStorage, storageName(path))

export const forgetDraft = (path: string): void => tabStorage.removeItem(storageName(path))

/**
 * Keeps a draft in this tab, so that it is there again when its page is. Closing the tab loses it:
 * the browser asks before.
 *
 * @param draft what JSON can hold; undefined when nothing is changed
 */
export function useKeptDraft(path: string, draft: object | undefined): void {
  const text = draft && JSON.stringify(draft)
  // Before the page is drawn, so that nothing typed is too late.
  useLayoutEffect(() => {
    if (text === undefined) return forgetDraft(path)
    try {
      tabStorage.setItem(storageName(path), text)
    } catch {
      // The storage of a tab is bounded; what it cannot hold is on the page alone.
    }
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    addEventListener('beforeunload', ask)
    return () => removeEventListener('beforeunload', ask)
  }, [path, text])
}
