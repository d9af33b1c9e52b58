/**
 * Which files that decide who may do what cannot be read now. What they guard is closed, or goes on
 * with what they said last (TLS): health and metrics tell of it.
 */
export interface FileFaults {
  /** One file or folder that is followed. */
  follow(kind: GuardedFiles): FollowedFault
  /** The kinds of which something cannot be read, each once. */
  kinds(): readonly GuardedFiles[]
}

const guardedFiles = [
  'policies',
  'passwords',
  'accessKeys',
  'tls',
  // Certificates that can be read and are of no use, or of which a part is damaged.
  'tlsExpired',
  'tlsDamaged',
] as const
export type GuardedFiles = (typeof guardedFiles)[number]

interface FollowedFault {
  set(isUnreadable: boolean): void
  /** It is not followed any more. */
  close(): void
}

/** @param onChange told of each kind at once, and then of each change */
export function createFileFaults(
  onChange: (kind: GuardedFiles, isUnreadable: boolean) => void = () => {},
): FileFaults {
  const unreadable = new Map(guardedFiles.map((kind) => [kind, new Set<symbol>()]))
  for (const kind of guardedFiles) onChange(kind, false)
  return {
    follow(kind) {
      const self = Symbol(kind)
      const faults = unreadable.get(kind) ?? new Set()
      const set = (isUnreadable: boolean) => {
        if (isUnreadable) faults.add(self)
        else faults.delete(self)
        onChange(kind, faults.size > 0)
      }
      return { set, close: () => set(false) }
    },
    kinds: () => guardedFiles.filter((kind) => (unreadable.get(kind)?.size ?? 0) > 0),
  }
}
