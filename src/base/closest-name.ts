/** The name that a misspelt one was probably meant to be; undefined when none is close. */
export function closestName(name: string, names: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase()
  const lengthMax = 64 // Longer than any name, so no name is close.
  if (wanted.length > lengthMax) return undefined
  let closest: string | undefined
  let least = Math.min(2, Math.ceil(wanted.length / 4)) + 1
  for (const candidate of names) {
    const distance = editDistance(wanted, candidate.toLowerCase())
    if (distance < least) {
      closest = candidate
      least = distance
    }
  }
  return closest
}

/** Names that are suggested at once. */
const suggestedMax = 3

/**
 * The names that a wrong one may have been meant to be: one that is written or spelt a little
 * differently, else one that it begins with (`s3Bucket`), else a few that hold it (`logs`).
 */
export function likelyNames(name: string, names: readonly string[]): readonly string[] {
  const wanted = lettersOf(name)
  const same = names.find((known) => lettersOf(known) === wanted) ?? closestName(name, names)
  if (same !== undefined) return [same]
  const begins = names.filter((known) => wanted.startsWith(lettersOf(known)))
  const [longest] = begins.toSorted((one, other) => other.length - one.length)
  if (longest !== undefined) return [longest]
  const shortest = 3
  if (wanted.length < shortest) return []
  return names.filter((known) => lettersOf(known).includes(wanted)).slice(0, suggestedMax)
}

/** A name without case and punctuation. */
const lettersOf = (name: string): string => name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')

/** The number of insertions, deletions, replacements and swaps of neighbours between two words. */
function editDistance(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1]
      let least = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (isSame ? 0 : 1),
      )
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1)
      }
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return last[to.length] ?? 0
}
