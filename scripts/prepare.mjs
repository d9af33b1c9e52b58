// Runs before `npm start` and `npm test`, with nothing installed yet: it uses Node alone.
// It installs what package-lock.json names and builds dist/, each only when out of date, so that
// a second start takes no time here.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'

const root = path.resolve(import.meta.dirname, '..')
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 20)) {
  console.error(`Sluice needs Node.js 20.20 or newer; this is ${process.version}.`)
  process.exit(1)
}

if (!isInstalled()) {
  console.error('Installing dependencies (once) ...')
  // Not `npm ci`: it refuses a lock file that lacks a prebuilt binary of some other platform, which
  // happens when that package was not yet published everywhere as the file was written. This
  // installs the same locked versions and leaves the lock file as it is.
  run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'])
}
if (!process.argv.includes('--no-build') && !isBuilt()) {
  console.error('Building ...')
  run(process.execPath, ['scripts/build.mjs'])
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
  const folders = ['src', 'scripts'].map((name) => path.join(root, name))
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

function run(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status === 0) return
  console.error(`${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}`)
  process.exit(1)
}
