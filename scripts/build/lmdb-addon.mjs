// LMDB's package finds its native addon by the folder and the name of its own package. In a bundle
// both would be those of Sluice.
import { readFile } from 'node:fs/promises'

const nameOfFolder = "packageName = runtimeRequire(path.join(dir, 'package.json')).name;"

/** A plugin for esbuild: the addon is that of @lmdb/lmdb-<platform>, resolved from dist/. */
export function lmdbAddon() {
  return {
    name: 'lmdb-addon',
    setup({ onLoad }) {
      const filter = /[\\/]node-gyp-build-optional-packages[\\/]node-gyp-build\.js$/
      onLoad({ filter }, async ({ path: file }) => {
        const text = await readFile(file, 'utf8')
        if (!text.includes(nameOfFolder)) throw new Error(`${file} looks for an addon in a new way`)
        return { contents: text.replace(nameOfFolder, "packageName = 'lmdb';"), loader: 'js' }
      })
    },
  }
}
