/**
 * `npm run release:dry`: everything that a release does except publishing. Each step prints a line;
 * the first one that fails ends the run with exit code 1.
 *
 *   --tag v1.2.3           what is released: the changelog must have a section of that version
 *   --skip-tests           the tests have run already
 *   --output folder        keeps the package, its SBOM and the notes of the release there
 *   --repository owner/x   names the repository on GitHub in the package, as provenance needs it
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { releaseNotes } from './changelog.ts'
import { checkSbom } from './check-sbom.ts'
import type { NamedVersion } from './check-sbom.ts'

const root = path.resolve(import.meta.dirname, '../..')
const manifestFile = path.join(root, 'package.json')

const { values: given } = parseArgs({
  options: {
    tag: { type: 'string' },
    'skip-tests': { type: 'boolean', default: false },
    output: { type: 'string' },
    repository: { type: 'string' },
  },
})

const folder = mkdtempSync(path.join(os.tmpdir(), 'sluice-release-'))
try {
  await dryRun()
} catch (thrown) {
  say(`failed: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}

async function dryRun(): Promise<void> {
  const manifest = JSON.parse(readFileSync(manifestFile, 'utf8')) as NamedVersion
  const changelog = readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8')
  const { notes, isReleased } = releaseNotes(changelog, manifest.version, given.tag)
  say(`ok: version ${manifest.version}, ${isReleased ? 'in' : 'not yet in'} the changelog`)

  const changed = read('git', ['status', '--porcelain'])
  if (changed !== '') throw new Error(`the working tree has changes:\n${changed}`)
  say('ok: the working tree is clean')

  if (given['skip-tests']) say('skipped: the tests')
  else run('npm', ['test'])

  run('npm', ['run', '--silent', 'build'])
  const tarball = pack(manifest)
  say(`ok: packed ${path.basename(tarball)}`)

  const installed = install(tarball).filter(({ name }) => name !== manifest.name)
  await start(manifest.version)
  say('ok: installed in an empty folder, started, and answered')

  const sbom = path.join(folder, 'node_modules', manifest.name, 'dist/sbom.cdx.json')
  const count = await checkSbom(readFileSync(sbom, 'utf8'), installed)
  say(`ok: the SBOM is valid CycloneDX and has ${count} components`)

  run('npm', ['publish', tarball, '--dry-run', '--ignore-scripts', '--access', 'public'])
  say('ok: npm publish --dry-run')
  buildImage()
  keep([tarball, sbom], notes)
}

/** Packs with the repository in package.json, which is put back. */
function pack({ name, version }: NamedVersion): string {
  const before = readFileSync(manifestFile)
  try {
    if (given.repository !== undefined) {
      const url = `git+https://github.com/${given.repository}.git`
      run('npm', ['pkg', 'set', 'repository.type=git', `repository.url=${url}`])
    }
    run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder])
  } finally {
    writeFileSync(manifestFile, before)
  }
  return path.join(folder, `${name}-${version}.tgz`)
}

/** @returns what npm has installed, the package itself included */
function install(tarball: string): readonly NamedVersion[] {
  writeFileSync(path.join(folder, 'package.json'), '{"private": true}')
  const options = ['--omit=dev', '--no-audit', '--no-fund', '--prefer-offline', '--silent']
  run('npm', ['install', tarball, ...options], folder)
  const text = readFileSync(path.join(folder, 'node_modules/.package-lock.json'), 'utf8')
  const { packages } = JSON.parse(text) as { packages: Readonly<Record<string, NamedVersion>> }
  return Object.entries(packages).map(([place, { version }]) => {
    return { name: place.replace(/^.*node_modules\//, ''), version }
  })
}

/** Starts a lab of the installed package on free ports, asks for its health, and stops it. */
async function start(version: string): Promise<void> {
  const sluice = path.join(folder, 'node_modules/.bin/sluice')
  const said = read(sluice, ['--version'])
  if (said !== version) throw new Error(`sluice --version says ${said}`)
  const env = {
    ...withoutSettings(),
    SLUICE_MQTT_PORT: '0',
    SLUICE_HTTP_PORT: '0',
    SLUICE_LAB_PORT: '0',
  }
  const child = spawn(process.execPath, [sluice, 'lab'], { cwd: folder, env })
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = once(child, 'close')
  let health: string | undefined
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const { msg, http } = JSON.parse(line) as { readonly msg?: string; readonly http?: number }
      if (msg !== 'ready') continue
      const answer = await fetch(`http://127.0.0.1:${http}/v1/health`)
      health = ((await answer.json()) as { readonly status: string }).status
      child.kill('SIGTERM')
    }
  } finally {
    child.kill('SIGTERM')
  }
  const [code] = (await ended) as [number | null]
  if (health !== 'ok' || code !== 0 || stderr !== '') {
    throw new Error(`the lab: health ${health}, exit code ${code}\n${stderr}`)
  }
}

/** What the shell says about Sluice or AWS does not belong to the package. */
function withoutSettings(): NodeJS.ProcessEnv {
  const isSetting = /^(SLUICE|AWS)_/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isSetting.test(name)))
}

function buildImage(): void {
  if (spawnSync('docker', ['info'], { stdio: 'ignore' }).status !== 0) {
    return say('skipped: the image, because no Docker daemon answers')
  }
  run('docker', ['build', '--tag', 'sluice:release-dry', '.'])
  run('docker', ['run', '--rm', 'sluice:release-dry', '--version'])
  say('ok: the image is built')
}

function keep(files: readonly string[], notes: string): void {
  if (given.output === undefined) return
  mkdirSync(given.output, { recursive: true })
  for (const file of files) cpSync(file, path.join(given.output, path.basename(file)))
  writeFileSync(path.join(given.output, 'notes.md'), `${notes}\n`)
  say(`ok: the files are in ${given.output}`)
}

function run(command: string, words: readonly string[], cwd = root): void {
  execFileSync(command, words, { cwd, stdio: ['ignore', 'inherit', 'inherit'] })
}

function read(command: string, words: readonly string[]): string {
  return execFileSync(command, words, { cwd: root, encoding: 'utf8' }).trim()
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
