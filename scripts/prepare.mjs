// Runs before `npm start` and `npm test`, with nothing installed yet: it uses Node alone.
// It installs what package-lock.json names and builds dist/, each only when out of date, so that
// a second start takes no time here.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 20)) {
  console.error(`Sluice needs Node.js 20.20 or newer; this is ${process.version}.`)
  process.exit(1)
}

if (!isInstalled()) {
  // Not `npm ci`: it refuses a lock file that lacks a prebuilt binary of some other platform, which
  // happens when that package was not yet published everywhere as the file was written. This
  // installs the same locked versions and leaves the lock file as it is.
  await run('Installing dependencies, which is needed once', 'npm', [
    'install',
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ])
}
if (!process.argv.includes('--no-build') && !isBuilt()) {
  await run('Building dist/', process.execPath, ['scripts/build.mjs'])
}

function isInstalled() {
  const marker = path.join(root, 'node_modules/.package-lock.json')
  if (!existsSync(marker)) return false
  const wanted = lockedVersions('package-lock.json')
  const installed = lockedVersions('node_modules/.package-lock.json')
  return Object.entries(wanted).every(([name, version]) => installed[name] === version)
}

/** Versions of the packages that belong on every platform, by their folder. */
function lockedVersions(file) {
  const { packages } = JSON.parse(readFileSync(path.join(root, file), 'utf8'))
  return Object.fromEntries(
    Object.entries(packages)
      .filter(
        ([folder, { optional, devOptional, peer }]) => folder && !optional && !devOptional && !peer,
      )
      .map(([folder, { version }]) => [folder, version]),
  )
}

/** main.js is written last, and a folder is touched when a file leaves it. */
function isBuilt() {
  const built = path.join(root, 'dist/main.js')
  if (!existsSync(built)) return false
  const builtMs = statSync(built).mtimeMs
  const folders = ['src', 'console', 'scripts'].map((name) => path.join(root, name))
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) =>
      path.join(entry.parentPath, entry.name),
    ),
  )
  const settings = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json']
  return [...folders, ...files, ...settings.map((name) => path.join(root, name))].every(
    (file) => statSync(file).mtimeMs <= builtMs,
  )
}

/** Runs a command; says what it is for, with a dot a second, and how long it took. */
async function run(purpose, command, args) {
  const startedMs = performance.now()
  process.stderr.write(`${purpose} ...`)
  const dots = setInterval(() => process.stderr.write('.'), 1000)
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  const failure = await once(child, 'close').then(
    ([code]) => (code === 0 ? undefined : `failed with exit code ${code}`),
    (error) => `failed: ${error.message}`,
  )
  clearInterval(dots)
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.error(failure === undefined ? ` done in ${seconds} s` : '')
  if (failure === undefined) return
  console.error(`${command} ${args.join(' ')} ${failure}`)
  process.exit(1)
}
