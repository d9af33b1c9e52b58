/** Ends an exhaustive switch; it is reached only when the switch lacks a new kind. */
export function unreachable(kind: never): never {
  throw new Error(`no case for ${JSON.stringify(kind)}`)
}
