// Builds dist/, which is what the package ships: bundles with their source maps, static files and
// licences of the packages in them, and type declarations. The reasons are in
// docs/decisions/0024-the-package-is-a-bundle.md.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import path from 'node:path'
import { build } from 'esbuild'
import { build as buildConsole } from 'vite'
import { writeDeclarations } from './build/declarations.mjs'
import { licencesOf } from './build/licences.mjs'
import { lmdbAddon } from './build/lmdb-addon.mjs'
import { checkFolderNames, foldersOfPackages, packagesWithFiles } from './build/package-folders.mjs'
import { sbomOf } from './build/sbom.mjs'
import { findThreadEntries, sourceUrls } from './build/source-urls.mjs'
import { thinMap } from './build/thin-map.mjs'
import { usedParts } from './build/used-parts.mjs'
import { withoutMap } from './build/without-map.mjs'

const root = path.resolve(import.meta.dirname, '..')
const dist = path.join(root, 'dist')
const { dependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))

/** Packages in CommonJS find Node's own modules by `require`. */
const requireLine =
  "import { createRequire as requireOf } from 'node:module';" +
  'const require = requireOf(import.meta.url);'

// What a file that is gone has left must not end up in a package.
rmSync(dist, { recursive: true, force: true })

// Into dist/console, to which a source has a URL.
const consoleBuild = await buildConsole({
  configFile: path.join(root, 'console/vite.config.ts'),
  logLevel: 'warn',
})

const { outputFiles, metafile } = await build({
  absWorkingDir: root,
  entryPoints: ['src/main.ts', 'src/index.ts', ...findThreadEntries(root)],
  outdir: 'dist',
  // All files stand side by side, so that a URL relative to one of them is the same for each.
  entryNames: '[name]',
  chunkNames: '[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.20',
  // ES modules where a package has both: what is not used of them is left out.
  mainFields: ['module', 'main'],
  external: Object.keys(dependencies),
  alias: {
    // The module for Kafka's checksums and compression, with its WebAssembly as text in the bundle.
    '@platformatic/wasm-utils': '@platformatic/wasm-utils/bundled',
    // An encoding of LMDB's package that nothing here uses, without its native helper.
    msgpackr: 'msgpackr/pack',
  },
  banner: { js: requireLine },
  define: {
    // The AWS SDK says at each start which Node its releases after January 2027 will want.
    'process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED': '"true"',
    // `ws` takes native helpers where it finds them: there are none in a bundle.
    'process.env.WS_NO_BUFFER_UTIL': '"true"',
    'process.env.WS_NO_UTF_8_VALIDATE': '"true"',
  },
  // The maps hold the sources of Sluice, which the package does not ship.
  sourcemap: true,
  // Names stay, and lines stay short: V8 shows the whole line of an uncaught error.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  legalComments: 'none',
  metafile: true,
  write: false,
  logLevel: 'warning',
  // Code in a string that `eval` runs names variables of its file, and a bundle gives variables of
  // one name in two files other names: it would run with those of another file. Packages that do
  // so are installed beside the bundle.
  logOverride: { 'direct-eval': 'error' },
  plugins: [usedParts(), sourceUrls(root), foldersOfPackages(root), lmdbAddon(), withoutMap()],
})
const bundled = bundledFiles(metafile)
const everyFile = new Set([...bundled, ...filesOfConsole(consoleBuild)])
checkImports(metafile)
checkLazyImports(metafile)
checkFolderNames(root, bundled)

mkdirSync(dist, { recursive: true })
writeFileSync(path.join(dist, 'THIRD-PARTY-LICENSES.txt'), licencesOf(root, everyFile))
writeFileSync(path.join(dist, 'sbom.cdx.json'), sbomOf(root, everyFile))
for (const [name, folder] of packagesWithFiles) {
  const files = path.join(name, folder)
  cpSync(path.join(root, 'node_modules', files), path.join(dist, 'packages', files), {
    recursive: true,
    // The same as the bundle beside it, without what it needs: its page does not load it.
    filter: (file) => path.basename(file) !== 'swagger-ui.js',
  })
}
writeDeclarations(root)
// The last one: prepare.mjs tells by it that the rest is there.
const isMain = (file) => path.basename(file) === 'main.js'
for (const { path: file, contents } of outputFiles.toSorted(
  (a, b) => Number(isMain(a.path)) - Number(isMain(b.path)),
)) {
  writeFileSync(
    file,
    file.endsWith('.map') ? thinMap(Buffer.from(contents).toString('utf8')) : contents,
  )
}

/** The files of which something is in a bundle: what is imported and not used is left out. */
function bundledFiles({ outputs }) {
  const inputs = Object.values(outputs).flatMap((output) => Object.entries(output.inputs))
  const used = inputs.filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  return new Set(used.map(([file]) => file))
}

/** The files of packages of which something is in the console. */
function filesOfConsole({ output }) {
  const modules = output.flatMap((chunk) => Object.entries(chunk.modules ?? {}))
  const used = modules.filter(([, { renderedLength }]) => renderedLength > 0)
  const files = used.map(([file]) => path.relative(root, file).replaceAll(path.sep, '/'))
  const stylesheets = output.flatMap(({ originalFileNames = [] }) =>
    originalFileNames.filter((file) => file.endsWith('.css')),
  )
  return [...files, ...stylesheets].filter((file) => file.startsWith('node_modules/'))
}

/** A bundle that imports what the package does not install would fail at its user's. */
function checkImports({ outputs }) {
  for (const [output, { imports }] of Object.entries(outputs)) {
    for (const { path: imported, external } of imports) {
      const isKnown = isBuiltin(imported) || Object.hasOwn(dependencies, imported)
      if (external && !isKnown) throw new Error(`${output} imports ${imported}`)
    }
  }
}

/**
 * Node finds names in a package in CommonJS; a bundle of one has nothing but its default export. So
 * `import()` of such a package must ask for that.
 */
function checkLazyImports({ inputs }) {
  for (const [file, { imports }] of Object.entries(inputs)) {
    for (const { path: imported, kind, original } of imports) {
      if (kind !== 'dynamic-import' || inputs[imported]?.format !== 'cjs') continue
      const text = readFileSync(path.join(root, file), 'utf8')
      const isRight = new RegExp(
        `(\\{ default: \\w+ \\} =|^\\s*) await import\\('${original}'\\)`,
        'm',
      )
      if (!isRight.test(text)) throw new Error(`${file}: ask import('${original}') for its default`)
    }
  }
}
