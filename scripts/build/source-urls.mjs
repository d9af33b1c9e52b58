// `new URL('./x', import.meta.url)` in a source becomes the URL that is right in dist/.
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'

const expression = /new URL\(\s*'(\.{1,2}\/[^']+)',\s*import\.meta\.url,?\s*\)/g

/**
 * The modules that run as threads: those sources to which another one has a URL.
 *
 * @returns their paths
 */
export function findThreadEntries(root) {
  const entries = readdirSync(path.join(root, 'src'), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.join(root, 'src', name))
    .flatMap((source) => urlsIn(source, readFileSync(source, 'utf8')))
    .filter((target) => isSource(root, target))
  return [...new Set(entries)]
}

/** A plugin for esbuild. The URL of a source becomes that of its bundle in dist/. */
export function sourceUrls(root) {
  return {
    name: 'source-urls',
    setup({ onLoad }) {
      onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, async ({ path: source }) => {
        const text = await readFile(source, 'utf8')
        if (!text.includes('import.meta.url') || !isSource(root, source)) return undefined
        const contents = text.replace(expression, (_match, relative) => {
          const target = path.resolve(path.dirname(source), relative)
          return `new URL('${urlInDist(root, target, relative)}', import.meta.url)`
        })
        const left = contents.replaceAll(expression, '').match(/^.*new URL\(.*import\.meta\.url/m)
        if (left)
          throw new Error(`${source}: the path must be one text in quotes: ${left[0].trim()}`)
        return { contents, loader: 'ts' }
      })
    },
  }
}

function urlInDist(root, target, relative) {
  if (!existsSync(target)) throw new Error(`${target} is not there`)
  if (isSource(root, target)) return `./${path.basename(target, '.ts')}.js`
  const slash = relative.endsWith('/') ? '/' : ''
  const inDist = path.relative(path.join(root, 'dist'), target).replaceAll(path.sep, '/') + slash
  return inDist.startsWith('.') ? inDist : `./${inDist}`
}

function urlsIn(source, text) {
  return [...text.matchAll(expression)].map(([, relative]) =>
    path.resolve(path.dirname(source), relative),
  )
}

const isSource = (root, file) => file.startsWith(path.join(root, 'src') + path.sep)
