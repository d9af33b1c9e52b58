/**
 * `npm run check:house`: what no linter looks at. Imports point down the floors and between rooms
 * in one direction only; the root of src/ and the rooms stay small; a file is named after an
 * export; nothing is exported for nobody; comments and table cells of the documentation can be
 * read. Prints every finding as `file:line: what` and exits 1 when there is one.
 */
import { readFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import path from 'node:path'

/**
 * The rooms of src/, the highest floor first: a room imports from rooms below it only. `.` stands
 * for the three files of the root, of which message.ts is the ground that every room may use.
 */
const floors = [
  '.',
  'cli',
  'cli/cluster',
  'cli/engine',
  'cli/mqtt',
  'cli/rules',
  'cli/terminal',
  'app',
  'app/cluster',
  'http',
  'http/console',
  'http/sluice',
  'http/aws-iot',
  'http/lambda',
  'http/server',
  'infrastructure',
  'lab/worker',
  'lab/server',
  'lab/kinesis-operations',
  'lab/sts',
  'lab/service',
  'lab/faults',
  'lab/streams',
  'lab/calls',
  'lab/wire',
  'event-source/cluster',
  'event-source',
  'event-source/filters',
  'event-source/functions',
  'engine',
  'cluster/clients',
  'cluster/relay',
  'upstream',
  'ingress',
  'ingress/entrances',
  'ingress/broker',
  'ingress/mqtt5',
  'ingress/gate',
  'ingress/sharing',
  'ingress/kept',
  'ingress/relay',
  'rules',
  'rules/destinations',
  'actions',
  'actions/kinds',
  'actions/action',
  'device-services',
  'device-services/shadows',
  'external',
  'delivery',
  'delivery/outcome',
  'delivery/queue',
  'delivery/shards',
  'delivery/call',
  'cluster/operators',
  'cluster/lanes',
  'cluster/log',
  'kafka',
  'aws',
  'aws/senders',
  'aws/http',
  'aws/call',
  'outbox',
  'outbox/books',
  'outbox/store',
  'consumers/leases',
  'consumers',
  'registry',
  'identity',
  'identity/access-keys',
  'identity/certificates',
  'identity/passwords',
  'identity/policies',
  'sigv4',
  'watch',
  'traces',
  'redaction',
  'sql',
  'sql/compiler',
  'sql/functions',
  'sql/regex',
  'sql/time',
  'sql/externals',
  'sql/values',
  'sql/parser',
  'topics',
  'cluster/nats',
  'cluster/state',
  'storage',
  'telemetry',
  'config',
  'base',
]

const ground = 'src/message.ts'
const rootFiles = new Set(['src/main.ts', 'src/index.ts', ground])
const filesPerRoomMax = 26
const commentColumnsMax = 100
const cellLengthMax = 160

interface Source {
  readonly file: string
  readonly text: string
  readonly imports: readonly Import[]
}

interface Import {
  readonly line: number
  /** Path from the root of the repository. */
  readonly file: string
  /** What is taken; `*` is all of it. */
  readonly names: readonly string[]
}

interface Exported {
  readonly name: string
  readonly isType: boolean
  readonly line: number
}

const root = path.resolve(import.meta.dirname, '..')
const tracked = listFiles()
const sources = tracked.filter((file) => /\.(ts|mjs|js)$/.test(file)).map(readSource)
const productSources = sources.filter(({ file }) => file.startsWith('src/'))

const findings = [
  ...productSources.flatMap(checkFloors),
  ...checkRooms(),
  ...checkRoot(),
  ...productSources.flatMap(checkName),
  ...checkExports(),
  ...sources.flatMap(checkComments),
  ...tracked.filter((file) => file.endsWith('.md')).flatMap(checkCells),
]
for (const finding of findings) console.log(finding)
console.log(findings.length === 0 ? 'The house is in order.' : `${findings.length} findings`)
process.exitCode = findings.length === 0 ? 0 : 1

function listFiles(): string[] {
  const answer = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '--deduplicate'], {
    cwd: root,
    encoding: 'utf8',
  })
  const deleted = execFileSync('git', ['ls-files', '-d'], { cwd: root, encoding: 'utf8' })
  const gone = new Set(deleted.split('\n'))
  return answer.split('\n').filter((file) => file !== '' && !gone.has(file))
}

function readSource(file: string): Source {
  const text = readFileSync(path.join(root, file), 'utf8')
  return { file, text, imports: [...importsOf(file, text)] }
}

function* importsOf(file: string, text: string): Iterable<Import> {
  const statements =
    /(?:^|\n)(?:import|export)\s+(?:type\s+)?(?:(\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+)\s+from\s+)?'(\.[^']+)'/g
  for (const match of text.matchAll(statements)) {
    yield importAt(file, text, match.index, match[2] ?? '', namesIn(match[1] ?? '*'))
  }
  // What is loaded when needed, and the modules of threads.
  for (const match of text.matchAll(
    /\bimport\('(\.[^']+)'\)|new URL\('(\.[^']+)', import\.meta/g,
  )) {
    const target = match[1] ?? match[2] ?? ''
    yield importAt(file, text, match.index, target, ['*'])
  }
}

function importAt(
  file: string,
  text: string,
  index: number,
  target: string,
  names: readonly string[],
): Import {
  const found = path.join(path.dirname(file), target)
  const line = text.slice(0, index + 1).split('\n').length
  return { line, file: found.endsWith('.ts') ? found : `${found}.ts`, names }
}

function namesIn(clause: string): string[] {
  if (!clause.startsWith('{')) return ['*']
  return clause
    .slice(1, -1)
    .split(',')
    .map((name) =>
      name
        .trim()
        .replace(/^type\s+/, '')
        .replace(/\s+as\s+.*$/, ''),
    )
    .filter((name) => name !== '')
}

function roomOf(file: string): string {
  return path.relative('src', path.dirname(file)) || '.'
}

function checkFloors({ file, imports }: Source): string[] {
  const floor = floors.indexOf(roomOf(file))
  if (floor === -1) return [`${file}:1: the room ${roomOf(file)} has no floor in check-house.ts`]
  return imports
    .filter((one) => one.file.startsWith('src/') && one.file !== ground)
    .filter((one) => tracked.includes(one.file) && floors.indexOf(roomOf(one.file)) < floor)
    .map(({ line, file: target }) => `${file}:${line}: imports up, from ${target}`)
}

function checkRooms(): string[] {
  const counts = new Map<string, number>()
  for (const { file } of productSources) {
    const room = path.dirname(file)
    counts.set(room, (counts.get(room) ?? 0) + 1)
  }
  return [...counts]
    .filter(([, count]) => count > filesPerRoomMax)
    .map(([room, count]) => `${room}:1: ${count} files beside each other`)
}

function checkRoot(): string[] {
  return productSources
    .filter(({ file }) => path.dirname(file) === 'src' && !rootFiles.has(file))
    .map(({ file }) => `${file}:1: the root of src/ has ${[...rootFiles].join(', ')} only`)
}

function exportsOf(text: string): Exported[] {
  const declared =
    /^export (?:declare )?(?:async )?(?:abstract )?(function\*?|const|let|class|type|interface) (\w+)/gm
  return [...text.matchAll(declared)].map((match) => ({
    name: match[2] ?? '',
    isType: match[1] === 'type' || match[1] === 'interface',
    line: text.slice(0, match.index + 1).split('\n').length,
  }))
}

/**
 * A file is named after its main export. One that holds several functions of a kind may be named
 * after the kind (`conversions.ts`), so it is looked at only where there is one function.
 */
function checkName({ file, text }: Source): string[] {
  const exported = exportsOf(text)
  const values = exported.filter(({ isType }) => !isType)
  const [main] = values
  if (main === undefined || values.length > 1) return []
  // The main file of a room has the name of the room.
  if (path.basename(file, '.ts') === path.basename(path.dirname(file))) return []
  const words = wordsOf(path.basename(file, '.ts'))
  const isNamed = exported
    .filter((one) => one.isType || one === main)
    .map(({ name }) => wordsOf(name))
    .some((others) => words.every((word) => others.some((other) => isSameStem(word, other))))
  return isNamed ? [] : [`${file}:${main.line}: ${main.name} is not what the file is named after`]
}

/** `encode` and `encoding`, `shape` and `shapes`. */
function isSameStem(one: string, other: string): boolean {
  const length = Math.min(one.length, other.length, 5)
  return one === other || (length >= 4 && one.slice(0, length) === other.slice(0, length))
}

function wordsOf(name: string): string[] {
  return name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split('-')
    .map((word) => word.replace(/s$/, ''))
}

/** What is exported for a test alone counts as used: tests are callers, too. */
function checkExports(): string[] {
  const used = new Map<string, Set<string>>()
  for (const { imports } of sources) {
    for (const { file, names } of imports) {
      const known = used.get(file) ?? new Set()
      used.set(file, known)
      for (const name of names) known.add(name)
    }
  }
  return productSources.flatMap(({ file, text }) => {
    const names = used.get(file)
    if (names?.has('*') === true) return []
    return exportsOf(text)
      .filter(({ name }) => names?.has(name) !== true)
      .map(({ name, line }) => `${file}:${line}: ${name} is exported and nobody imports it`)
  })
}

function checkComments({ file, text }: Source): string[] {
  return text
    .split('\n')
    .map((line, index) => ({ line, number: index + 1 }))
    .filter(({ line }) => line.length > commentColumnsMax && isComment(line))
    .map(({ line, number }) => `${file}:${number}: a comment of ${line.length} columns`)
}

function isComment(line: string): boolean {
  return /^\s*(\/\/|\/\*|\*)/.test(line) && !/https?:\/\/\S{60,}/.test(line)
}

function checkCells(file: string): string[] {
  return readFileSync(path.join(root, file), 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      if (!line.startsWith('|') || /^[|\s:-]+$/.test(line)) return []
      const longest = Math.max(...line.split(/(?<!\\)\|/).map((cell) => cell.trim().length))
      return longest > cellLengthMax
        ? [`${file}:${index + 1}: a table cell of ${longest} characters`]
        : []
    })
}
