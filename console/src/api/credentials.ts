import { readStored, tabStorage } from './storage.ts'

/** An access key of `sluice keys create`, for a session of the browser. */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The region that the engine verifies signatures for. */
  readonly region: string
}

const storageKey = 'sluice-access-key'

/** It stays in this tab, until the tab is closed or the person signs out. */
export const storedCredentials = (): Credentials | undefined =>
  readStored(tabStorage, storageKey) as Credentials | undefined

/** @param credentials undefined forgets the key alone */
export function storeCredentials(credentials: Credentials | undefined): void {
  if (credentials === undefined) tabStorage.removeItem(storageKey)
  else tabStorage.setItem(storageKey, JSON.stringify(credentials))
}

/** Forgets the key and what it has shown. */
export const forgetTab = (): void => tabStorage.clear()
