// Packages in CommonJS that read files of their own find them by `__dirname`, which a bundle does
// not have.
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'

/** Packages whose static files come with the bundle, and the folder that has them. */
export const packagesWithFiles = new Map([['@fastify/swagger-ui', 'static']])

/** Where `__dirname` stands in code that never runs, and why it does not. */
const unreached = new Map([
  ['@fastify/swagger/lib/util/read-package-json.js', 'the document has a title and a version'],
  ['commander/lib/command.js', 'in a comment'],
  ['pino/lib/transport.js', 'no transport is used: lines go to a stream of this thread'],
  ['qlobber/lib/qlobber.js', 'in a comment'],
  ['thread-stream/index.js', 'for the transports of pino'],
])

/**
 * A plugin for esbuild: in the packages with files, `__dirname` is the same folder below
 * dist/packages/.
 */
export function foldersOfPackages(root) {
  const name = 'folders-of-packages'
  const packages = path.join(root, 'node_modules')
  const names = [...packagesWithFiles.keys()].map((each) => each.replace('/', '[\\\\/]'))
  const isOne = new RegExp(`[\\\\/]node_modules[\\\\/](${names.join('|')})[\\\\/].*\\.js$`)
  return {
    name,
    setup({ onLoad, onResolve }) {
      onLoad({ filter: isOne }, async ({ path: file }) => {
        const folder = path.relative(packages, path.dirname(file)).replaceAll(path.sep, '/')
        const text = await readFile(file, 'utf8')
        return {
          contents: text.replaceAll('__dirname', `require('${name}').folderOf('${folder}')`),
          loader: 'js',
        }
      })
      onResolve({ filter: new RegExp(`^${name}$`) }, () => ({ path: name, namespace: name }))
      onLoad({ filter: /.*/, namespace: name }, () => ({
        contents: `
          import { fileURLToPath } from 'node:url'
          export const folderOf = (folder) =>
            fileURLToPath(new URL('packages/' + folder, import.meta.url))`,
        loader: 'js',
      }))
    },
  }
}

/** @throws Error that names a file whose `__dirname` nobody has looked at */
export function checkFolderNames(root, bundled) {
  for (const file of bundled) {
    const [, inPackage] = /node_modules\/(?!.*node_modules\/)(.*)$/.exec(file) ?? []
    if (inPackage === undefined || unreached.has(inPackage)) continue
    if ([...packagesWithFiles.keys()].some((name) => inPackage.startsWith(`${name}/`))) continue
    if (/\b__(dirname|filename)\b/.test(readFileSync(path.join(root, file), 'utf8'))) {
      throw new Error(`${file} reads __dirname or __filename, which a bundle does not have`)
    }
  }
}
