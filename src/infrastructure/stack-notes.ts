import type { Stack } from './stack.ts'

/** What has no value in a template, and what was left out of it, one line each. */
export function stackNotes({
  unresolved,
  skipped,
}: Pick<Stack, 'unresolved' | 'skipped'>): readonly string[] {
  return [
    ...unresolved.map(({ file, resource, member, reason, answer, usedIn = [] }) => {
      const where = [file, resource, member].filter((part) => part !== '').join(', ')
      const hint = answer === undefined ? '' : `; give --parameter '${answer}=...'`
      const uses = usedIn.length === 0 ? '' : `; it stands in ${usedIn.join(' and in ')}`
      return `not resolved: ${where}: ${reason}${uses}${hint}`
    }),
    ...skipped.map(({ file, resource, reason }) => `left out: ${file}, ${resource}: ${reason}`),
  ]
}
