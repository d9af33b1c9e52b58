/** Ends a switch over all kinds: reached only when a kind was added and a switch forgot it. */
export function unreachable(kind: never): never {
  throw new Error(`no case for ${JSON.stringify(kind)}`)
}
