import { execFile } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../helpers/sluice-process.ts'

/**
 * The package as a user gets it: packed, and installed into an empty folder without what only its
 * development needs. `dist/` is packed as it stands.
 */
const root = path.resolve(import.meta.dirname, '../..')
const megabytesMax = 36
const packagesMax = 10

/** What npm says where it has neither a registry nor a copy of its own of all packages. */
const unreachable = /ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONN(REFUSED|RESET)|E?TIMEDOUT|ERR_SOCKET/

const installOptions =
  '--omit=dev --prefer-offline --no-audit --no-fund --fetch-retries=0 --fetch-timeout=20000'.split(
    ' ',
  )

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let modules: string
let shipped: string

beforeAll(async () => {
  folder = await temporaryFolder()
  modules = path.join(folder.path, 'node_modules')
  shipped = path.join(modules, 'sluice-iot')
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder.path]
  const { stdout } = await run(root, 'npm', pack)
  const [packed] = JSON.parse(stdout) as [Packed]
  await writeFile(path.join(folder.path, 'package.json'), '{"private": true, "type": "module"}')
  const install = ['install', `./${packed.filename}`, ...installOptions]
  try {
    await run(folder.path, 'npm', install)
  } catch (thrown) {
    if (!unreachable.test(String(thrown))) throw thrown
    await installFromHere(packed)
  }
}, 120_000)

afterAll(() => folder.remove())

describe('installed from its package, Sluice', () => {
  test(`takes at most ${megabytesMax} MB and ${packagesMax} packages`, async () => {
    expect(packagesIn(modules).length).toBeLessThanOrEqual(packagesMax)
    expect(megabytesOf(modules)).toBeLessThanOrEqual(megabytesMax)
  })

  test('has its commands', async () => {
    const sluice = path.join(modules, '.bin/sluice')
    const words = ['--sql', "SELECT t FROM 'a/+'", '--topic', 'a/b', '--payload', '{"t":1}']
    const answer = await run(folder.path, sluice, ['evaluate', ...words])
    expect(answer).toEqual({ stdout: '{"t":1}\n', stderr: '' })
  })

  test('gives programs `consume` with nothing of the engine', async () => {
    await writeFile(
      path.join(folder.path, 'program.js'),
      "import { consume } from 'sluice-iot'\nconsole.log(typeof consume)\n",
    )
    const answer = await run(folder.path, process.execPath, ['program.js'])
    expect(answer).toEqual({ stdout: 'function\n', stderr: '' })

    const sources = sourcesBehind('index.js')
    expect(sources).toContain('src/consumers/consume.ts')
    const others =
      /^node_modules\/(aedes|fastify|@fastify|node-sql-parser|pino)|^src\/(outbox|sql)\//
    expect(sources.filter((source) => others.test(source))).toEqual([])
  })

  test('names the lines of its sources in a stack trace', async () => {
    await writeFile(
      path.join(folder.path, 'throws.js'),
      `import { consume } from 'sluice-iot'
      await consume({ stream: '', handler() {} }).catch(({ stack }) => console.log(stack))`,
    )
    const node = [process.execPath, ['--enable-source-maps', 'throws.js']] as const
    const { stdout } = await run(folder.path, ...node)
    const [, source = '', line] =
      /sluice-iot\/(src\/consumers\/\S+\.ts):(\d+):\d+/.exec(stdout) ?? []
    const text = await readFile(path.join(root, source), 'utf8')
    expect(text.split('\n')[Number(line) - 1]).toContain('invalidRequest(')
  })

  test('has types that a strict program compiles against', async () => {
    const project = path.join(folder.path, 'project')
    await mkdir(project)
    await writeFile(path.join(project, 'program.ts'), program)
    await writeFile(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
    const compiler = path.join(root, 'node_modules/.bin/tsc')
    expect(await run(project, compiler, ['-p', '.'])).toEqual({ stdout: '', stderr: '' })
  })

  test('names the licence of each package in its bundles', async () => {
    const licences = await readFile(path.join(shipped, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8')
    const names = new Set(sourcesBehind('main.js').flatMap((source) => packageOf(source) ?? []))
    expect(names.size).toBeGreaterThan(100)
    for (const name of names) expect(licences).toMatch(new RegExp(`^${name} \\d+\\.`, 'm'))
  })

  test('has one copy of the inner parts of the AWS SDK, and one dialect of SQL', async () => {
    const sources = sourcesBehind('main.js')
    const folders = sources.flatMap(
      (source) => /^.*node_modules\/(@aws-sdk|@smithy)\/core\//.exec(source)?.[0] ?? [],
    )
    expect([...new Set(folders)].toSorted((a, b) => a.localeCompare(b))).toEqual([
      'node_modules/@aws-sdk/core/',
      'node_modules/@smithy/core/',
    ])
    const dialects = sources.filter((source) => source.includes('node-sql-parser/build/'))
    expect(dialects).toEqual(['node_modules/node-sql-parser/build/sqlite.js'])
  })
})

const compilerOptions = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
  target: 'es2023',
  module: 'nodenext',
  typeRoots: [path.join(root, 'node_modules/@types')],
  types: ['node'],
}

/** What a program written in TypeScript says. */
const program = `
import { SluiceError, consume, createMemoryCheckpoints, openLmdbCheckpoints } from 'sluice-iot'
import type { ConsumeOptions, ConsumedRecord, Consumer, ErrorCode } from 'sluice-iot'

const options: ConsumeOptions = {
  stream: 'alarms',
  region: 'eu-central-1',
  credentials: async () => ({ accessKeyId: 'a', secretAccessKey: 'b', expiration: new Date() }),
  checkpoints: createMemoryCheckpoints(),
  fanOut: { consumerName: 'a' },
  async handler({ records, signal }) {
    const [record]: readonly ConsumedRecord[] = records
    if (!signal.aborted) console.log(record?.data.toString('utf8'), record?.subSequenceNumber)
  },
}
const consumer: Consumer = await consume({ ...options, from: new Date(0) })
const checkpoints = await openLmdbCheckpoints('checkpoints')
await checkpoints.forget('a')
await consumer.stop()
const code = (thrown: unknown): ErrorCode | undefined =>
  thrown instanceof SluiceError ? thrown.code : undefined
console.log(code(undefined))
// @ts-expect-error -- a stream is named by a text
await consume({ stream: 1, handler() {} })
`

function run(cwd: string, command: string, words: readonly string[]) {
  return promisify(execFile)(command, [...words], { cwd, maxBuffer: 64 * 1024 * 1024 })
}

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

/** What npm would do, from the packages that this repository has installed. */
async function installFromHere({ files }: Packed): Promise<void> {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>>
  }
  for (const [place, { dev, devOptional }] of Object.entries(packages)) {
    const from = path.join(root, place)
    if (place === '' || dev || devOptional || !existsSync(from)) continue
    await cp(from, path.join(folder.path, place), { recursive: true })
  }
  for (const file of files) await cp(path.join(root, file.path), path.join(shipped, file.path))
  await mkdir(path.join(modules, '.bin'))
  await symlink('../sluice-iot/bin/sluice.js', path.join(modules, '.bin/sluice'))
}

/** Packages in a folder `node_modules`, those inside other packages included. */
function packagesIn(directory: string): readonly string[] {
  const isPackage = /^(.*\/node_modules\/)?(@[^/]+\/)?[^/]+\/package\.json$/
  return readdirSync(directory, { recursive: true })
    .map((name) => String(name).replaceAll(path.sep, '/'))
    .filter((name) => isPackage.test(name) && !name.startsWith('.'))
}

/** As `du -m` says it: what the files take on disk. */
function megabytesOf(directory: string): number {
  const blocks = readdirSync(directory, { recursive: true })
    .map((name) => statSync(path.join(directory, String(name)), { throwIfNoEntry: false }))
    .reduce((sum, found) => sum + (found?.blocks ?? 0), 0)
  return (blocks * 512) / 1024 ** 2
}

/**
 * Sources in a bundle and in all that it imports, now or later, by their path in the repository.
 */
function sourcesBehind(bundle: string): readonly string[] {
  const dist = path.join(shipped, 'dist')
  const sources = new Set<string>()
  const seen = new Set<string>()
  const waiting = [bundle]
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue
    seen.add(file)
    const code = readFileSync(path.join(dist, file), 'utf8')
    for (const [, imported = ''] of code.matchAll(/(?:\bfrom|\bimport\(|\bimport)"\.\/([^"]+)"/g)) {
      waiting.push(imported)
    }
    const map = JSON.parse(readFileSync(path.join(dist, `${file}.map`), 'utf8')) as SourceMap
    for (const source of map.sources) sources.add(path.posix.normalize(source).replace('../', ''))
  }
  return [...sources]
}

interface SourceMap {
  readonly sources: readonly string[]
}

function packageOf(source: string): string | undefined {
  return /^.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1]
}
