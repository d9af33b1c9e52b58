/**
 * What a node tells the others of itself with each notice, as JSON. Nodes of other releases may
 * tell less, more, or nothing: what cannot be read is left out.
 */
export interface AboutNode {
  readonly host?: string | undefined
  /** The version of its package. */
  readonly release?: string | undefined
  /** Epoch milliseconds, by its own clock. */
  readonly startedAtMs?: number | undefined
}

/** Longer texts are no names of hosts or releases. */
const textMax = 255

export function encodeAboutNode(about: AboutNode): Buffer {
  return Buffer.from(JSON.stringify({ version: 1, ...about }))
}

export function decodeAboutNode(data: Uint8Array): AboutNode {
  if (data.length === 0) return {}
  try {
    const read = JSON.parse(Buffer.from(data).toString()) as Readonly<
      Record<string, unknown>
    > | null
    return {
      host: textOf(read?.['host']),
      release: textOf(read?.['release']),
      startedAtMs: Number.isFinite(read?.['startedAtMs'])
        ? (read?.['startedAtMs'] as number)
        : undefined,
    }
  } catch {
    return {}
  }
}

const textOf = (value: unknown) =>
  typeof value === 'string' && value !== '' && value.length <= textMax ? value : undefined
