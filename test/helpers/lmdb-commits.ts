import type { SystemCall } from './system-calls.ts'

/**
 * The commits of an LMDB environment in a trace: LMDB flushes the pages of a commit, and then
 * writes the meta page that makes it valid through a descriptor whose writes are flushes.
 */
interface LmdbCommits {
  /** Whether a commit was written and flushed after one call had ended, before another began. */
  isBetween(before: SystemCall | undefined, after: SystemCall | undefined): boolean
}

/** @param file how the path of its file ends: `/outbox/data.mdb` */
export function commitsOf(calls: readonly SystemCall[], file: string): LmdbCommits {
  const isOf = (text: string) => text.includes(`${file}>`)
  const opened = calls.find(({ name, arguments: text, result }) => {
    return name === 'openat' && text.includes('O_DSYNC') && isOf(result)
  })
  if (!opened) throw new Error(`${file} was not opened with O_DSYNC`)
  const isFlush = ({ name, arguments: text, result }: SystemCall) =>
    name === 'fdatasync' && isOf(text) && result === '0'
  const isMetaPage = ({ name, arguments: text }: SystemCall) =>
    name === 'pwrite64' && text.startsWith(opened.result)
  return {
    isBetween(before, after) {
      if (!before || !after) return false
      const between = calls.filter(
        ({ began, ended }) => began > before.ended && ended < after.began,
      )
      const pages = between.find(isFlush)
      return (
        pages !== undefined && between.some((call) => isMetaPage(call) && call.began > pages.ended)
      )
    },
  }
}
