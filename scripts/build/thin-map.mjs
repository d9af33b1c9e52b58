// Makes source maps small. What esbuild writes has an entry for each expression; the line of a
// stack trace needs one for each line of a source.
import { decode, encode } from '@jridgewell/sourcemap-codec'

/** The sources in a map are there for the line of an error, which is never one of a comment. */
const comment = /^[ \t]*(?:\/\*|\*|\/\/).*$/gm

/**
 * @param text a source map in JSON
 * @returns the map without what a stack trace does not show: entries that stay on the line of the
 *   one before them, names, and the comments of the sources
 */
export function thinMap(text) {
  const map = JSON.parse(text)
  const sourcesContent = map.sourcesContent.map(
    (source) => source?.replace(comment, '').trimEnd() ?? null,
  )
  const mappings = encode(decode(map.mappings).map(firstOfEachLine))
  return JSON.stringify({ ...map, sourcesContent, names: [], mappings })
}

/** An entry is [column, source, line of the source, column of the source, name]. */
function firstOfEachLine(entries) {
  const isFirst = ([, source, line], index) => {
    const [, sourceBefore, lineBefore] = entries[index - 1] ?? []
    return source !== sourceBefore || line !== lineBefore
  }
  return entries.filter(isFirst).map((entry) => entry.slice(0, 4))
}
