/** An access key of `sluice keys create`, for a session of the browser. */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The region that the engine verifies signatures for. */
  readonly region: string
}

const storageKey = 'sluice-access-key'

/** It stays in this tab, until the tab is closed or the person signs out. */
export function storedCredentials(): Credentials | undefined {
  const text = sessionStorage.getItem(storageKey)
  return text === null ? undefined : (JSON.parse(text) as Credentials)
}

export function storeCredentials(credentials: Credentials | undefined): void {
  // What the key has shown goes with it.
  if (credentials === undefined) sessionStorage.clear()
  else sessionStorage.setItem(storageKey, JSON.stringify(credentials))
}
