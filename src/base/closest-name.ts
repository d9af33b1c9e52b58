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
