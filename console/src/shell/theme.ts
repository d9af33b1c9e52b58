import { siteStorage } from '../api/storage.ts'

export type Theme = 'system' | 'light' | 'dark'

const storageKey = 'sluice-theme'
const themes: readonly Theme[] = ['system', 'light', 'dark']

export function storedTheme(): Theme {
  const stored = siteStorage.getItem(storageKey)
  return themes.find((theme) => theme === stored) ?? 'system'
}

/** Light and dark follow the system until a person chooses. */
export function applyTheme(theme: Theme): void {
  siteStorage.setItem(storageKey, theme)
  if (theme === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = theme
}

export const nextTheme = (theme: Theme): Theme =>
  themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'system'
