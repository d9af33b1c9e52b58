/** Each client of docs/CLIENTS.md, with the programs and commands that the document prints. */
import { spawn } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'
import { commandsOf } from '../docs/document-blocks.ts'
import { findAwsCli } from './aws-cli-program.ts'

const root = path.resolve(import.meta.dirname, '../..')
const sections = sectionsOf(readFileSync(path.join(root, 'docs/CLIENTS.md'), 'utf8'))

interface Client {
  readonly section: string
  /** What has to be on the machine. */
  readonly programs: readonly string[]
  /** What its last command prints. */
  readonly shows: RegExp
}
const record = (from: string) => new RegExp(`3.*"open": ?true.*"from": ?"${from}"`, 's')
const clients: readonly Client[] = [
  { section: 'AWS CLI', programs: ['aws'], shows: record('the CLI') },
  { section: 'Python: boto3', programs: ['python3'], shows: record('boto3') },
  { section: 'Node: AWS SDK 3', programs: ['npm'], shows: record('Node') },
  { section: 'Java: AWS SDK 2', programs: ['java', 'mvn'], shows: record('Java') },
  { section: 'Go: AWS SDK 2', programs: ['go'], shows: record('Go') },
  { section: 'Terraform', programs: ['terraform'], shows: record('Terraform') },
  { section: 'CDK', programs: ['npm'], shows: record('CDK') },
  { section: 'SAM', programs: [], shows: record('SAM') },
  { section: 'Serverless', programs: [], shows: /lambda.*doors-dev-opened/s },
]

/** Building the SDK for Go takes minutes on a busy machine. */
const commandsMsMax = 900_000

const cli = await findAwsCli()
const startMsMax = 60_000

let folder: string
let lab: SluiceProcess
let ports: Readonly<Record<string, string>>
/** The variables of the first section, which hold for all. */
let settings: string

beforeAll(async () => {
  const made = await temporaryFolder()
  folder = made.path
  await mkdir(path.join(folder, 'rules'))
  await writeFile(path.join(folder, 'package.json'), '{"private": true}')
  lab = startSluice(['lab'], {}, { cwd: folder })
  const { mqtt, http, kinesis } = await lab.ready()
  ports = {
    '127.0.0.1:1883': `127.0.0.1:${String(mqtt)}`,
    '127.0.0.1:8080': `127.0.0.1:${String(http)}`,
    '127.0.0.1:4567': `127.0.0.1:${String(kinesis)}`,
  }
  settings = commandTextOf('Endpoints, credentials, region')
}, startMsMax)

afterAll(async () => {
  lab.kill('SIGTERM')
  await lab.ended
  await rm(folder, { recursive: true, force: true })
})

test.for(clients)('$section', { timeout: commandsMsMax + 60_000 }, async (client, it) => {
  for (const program of client.programs) {
    const { code } = await runShell(`command -v ${program}`)
    if (code !== 0) it.skip(`${program} is not on this machine`)
  }
  const blocks = sections.get(client.section) ?? []
  for (const { language, text } of blocks) {
    if (language === 'sh') continue
    const [, name] = /^\S+ (\S+)/.exec(text) ?? []
    if (name === undefined) throw new Error(`a block of ${client.section} names no file`)
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true })
    await writeFile(path.join(folder, name), withPorts(text))
  }
  const commands = commandsOf(commandTextOf(client.section))
  const { code, output } = await runShell(
    [settings, ...commands.flatMap((command, index) => [`echo '#${index}'`, command])].join('\n'),
  )
  const [, last = ''] = [...output.matchAll(/^#(\d+)$/gm)].at(-1) ?? []
  const missing = installs.test(commands[Number(last)] ?? '') ? unreachable.exec(output) : undefined
  if (code !== 0 && missing) it.skip(`its software cannot be had here: ${missing[0]}`)
  expect({ code, output }).toMatchObject({ code: 0, output: expect.stringMatching(client.shows) })
})

test('the program for Terraform is HCL', async (it) => {
  const { code } = await runShell('command -v terraform')
  if (code !== 0) it.skip('terraform is not on this machine')
  const [program] = sections.get('Terraform') ?? []
  await writeFile(path.join(folder, 'printed.tf'), program?.text ?? '')
  const checked = await runShell('terraform fmt -check -diff printed.tf; rm printed.tf')
  expect(checked).toMatchObject({ code: 0, output: expect.not.stringContaining('+++') as string })
})

test('every section of the document with commands is run', () => {
  const run = new Set(['Endpoints, credentials, region', ...clients.map(({ section }) => section)])
  const printed = [...sections].filter(([, blocks]) => blocks.length > 0).map(([name]) => name)
  expect(printed.filter((name) => !run.has(name))).toEqual([])
  for (const { section } of clients) expect(commandTextOf(section)).not.toBe('')
})

/** Commands that fetch software, and what they print where there is no way to its registry. */
const installs = /\b(?:venv|pip install|npm install|mvn|go mod|terraform init)\b/
const unreachable =
  /no such\s+host|ENOTFOUND|EAI_AGAIN|ECONNRESET|ETIMEDOUT|Unknown host|Temporary failure in name resolution|No matching distribution found|Could not transfer artifact|i\/o timeout|Read timed out|Service Unavailable|Bad Gateway/

interface Block {
  readonly language: string
  readonly text: string
}

/** The fenced blocks of a document by their headings. A program may have lines with `#`, too. */
function sectionsOf(document: string): ReadonlyMap<string, readonly Block[]> {
  const found = new Map<string, Block[]>()
  let blocks: Block[] = []
  let open: { readonly language: string; readonly lines: string[] } | undefined
  for (const line of document.split('\n')) {
    const [, heading] = /^#+ (.*)/.exec(line) ?? []
    const [, language] = /^```(\w*)$/.exec(line) ?? []
    if (open && language !== undefined) {
      blocks.push({ language: open.language, text: `${open.lines.join('\n')}\n` })
      open = undefined
    } else if (open) open.lines.push(line)
    else if (language !== undefined) open = { language, lines: [] }
    else if (heading !== undefined) found.set(heading, (blocks = []))
  }
  return found
}

function commandTextOf(section: string): string {
  const blocks = sections.get(section) ?? []
  return blocks.flatMap(({ language, text }) => (language === 'sh' ? [text] : [])).join('\n')
}

/** The text with the ports that the lab of the tests has. */
function withPorts(text: string): string {
  return Object.entries(ports).reduce((all, [from, to]) => all.replaceAll(from, to), text)
}

/** Runs commands as a reader types them; `npx sluice` is the command of this repository. */
function runShell(commands: string): Promise<{ code: number | null; output: string }> {
  const sluice = `'${process.execPath}' '${path.join(root, 'bin/sluice.js')}'`
  const npx = `npx() { if [ "$1" = sluice ]; then shift; ${sluice} "$@"; else command npx "$@"; fi; }`
  const own = Object.entries(process.env).filter(([name]) => !/^(SLUICE|AWS|npm)_/.test(name))
  const aws = cli.isThere ? cli.folder : undefined
  const child = spawn('bash', ['-euc', `${npx}\n${withPorts(commands)}`], {
    cwd: folder,
    env: {
      ...Object.fromEntries(own),
      PATH: [aws, process.env['PATH']].filter((part) => part !== undefined).join(path.delimiter),
      npm_config_update_notifier: 'false',
      CHECKPOINT_DISABLE: 'true',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: commandsMsMax,
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}
