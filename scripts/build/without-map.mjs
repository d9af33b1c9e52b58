// The code of packages is left out of the source maps, of which it would be three quarters. A line
// of it is shown as the first line of its file.
import { readFile } from 'node:fs/promises'
import path from 'node:path'

/** A plugin for esbuild. */
export function withoutMap() {
  return {
    name: 'without-map',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]node_modules[\\/].*\.[cm]?js$/ }, async ({ path: file }) => ({
        contents: `${await readFile(file, 'utf8')}\n//# sourceMappingURL=${mapOfFirstLine(file)}`,
        loader: 'js',
      }))
    },
  }
}

/** A map that esbuild takes for the file's own, so that it makes none. */
function mapOfFirstLine(file) {
  const map = { version: 3, sources: [path.basename(file)], sourcesContent: [''], names: [] }
  const text = JSON.stringify({ ...map, mappings: 'AAAA' })
  return `data:application/json;base64,${Buffer.from(text).toString('base64')}`
}
