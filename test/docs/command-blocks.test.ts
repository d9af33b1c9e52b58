import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { blockMarks, isInstalled, presumed, shown } from './block-marks.ts'
import type { BlockMark } from './block-marks.ts'
import { commandBlocksOf, commandsOf } from './document-blocks.ts'
import type { CommandBlock } from './document-blocks.ts'
import { createReader, findNetwork, isServer } from './reader.ts'
import type { Reader } from './reader.ts'

/**
 * The command blocks of README.md and docs/*.md, run as they are printed and in their order, each
 * document in one folder: README.md in a copy of the repository, the others in a project that has
 * the package.
 */
const root = path.resolve(import.meta.dirname, '../..')
const documents = [
  'README.md',
  ...readdirSync(path.join(root, 'docs'))
    // `npm run test:clients` runs the programs of the clients.
    .filter((name) => name.endsWith('.md') && name !== 'CLIENTS.md')
    .map((name) => `docs/${name}`),
]
const blocksOf = (document: string) =>
  commandBlocksOf(readFileSync(path.join(root, document), 'utf8'))
const markOf = (document: string, { text }: CommandBlock): BlockMark | undefined =>
  blockMarks.find((mark) => mark.document === document && text.includes(mark.has))

const network = await findNetwork()
const busy = network === undefined ? 'a port that the documents name is in use' : undefined

/** Why a block is not run here. */
function reasonToSkip(document: string, block: CommandBlock): string | undefined {
  const mark = markOf(document, block)
  if (mark === undefined) return busy
  return mark.runsWith !== undefined && isInstalled(mark.runsWith) ? busy : mark.reason
}

describe.each(documents.filter((document) => blocksOf(document).length > 0))('%s', (document) => {
  const blocks = blocksOf(document)
  let reader: Reader

  beforeAll(async () => {
    if (network === undefined) return
    reader = await createReader({ network, isCheckout: document === 'README.md' })
    for (const command of presumed[document] ?? []) await reader.type(command)
  }, 60_000)
  afterAll(() => reader?.leave())

  for (const block of blocks) {
    const reason = reasonToSkip(document, block)
    const note = reason === undefined ? '' : ` (${reason})`
    const [title] = block.text.split('\n', 1)
    test(`line ${block.line}: ${title}${note}`, { timeout: 60_000 }, async (it) => {
      if (reason !== undefined) it.skip(reason)
      for (const [index, command] of block.commands.entries()) {
        if (isServer(command)) await makeRoom(reader, block, index)
        const [, output] = shown.find(([pattern]) => pattern.test(command)) ?? []
        await reader.type(command, output)
      }
      expect(block.commands.length).toBeGreaterThan(0)
    })
  }

  test.skipIf(network === undefined)('what runs at its end is stopped by Ctrl-C', async () => {
    await reader.stopServers()
    expect(reader.isServing()).toBe(false)
  })
})

/** A server needs the ports of the one before it, and does not return to the terminal. */
async function makeRoom(reader: Reader, block: CommandBlock, index: number): Promise<void> {
  expect(index, 'the server is the last command of its block').toBe(block.commands.length - 1)
  const picksFreePorts = block.commands[index]?.includes('_PORT=0') ?? false
  if (picksFreePorts || !reader.isServing()) return
  expect(block.proseBefore, 'the text in front says to stop the server').toMatch(/Ctrl-C/)
  await reader.stopServers()
}

test('every mark belongs to a block', () => {
  for (const mark of blockMarks) {
    const marked = blocksOf(mark.document).filter((block) => markOf(mark.document, block) === mark)
    expect(marked.length, `${mark.document}: ${mark.has}`).toBeGreaterThan(0)
  }
  const list = blockMarks.map(({ document, has, reason }) => `  ${document}: ${has} (${reason})`)
  console.log(`Command blocks that are not run everywhere:\n${list.join('\n')}`)
})

test.each([
  ['lines', 'a\nb # c', ['a', 'b # c']],
  ['a line that goes on', 'a \\\n  b\nc', ['a \\\n  b', 'c']],
  ['quotes over lines', `a '{\n}'\nb "\n"`, [`a '{\n}'`, 'b "\n"']],
  ['a quote in a comment', "# it's a\nb   # it's c\nd", ["b   # it's c", 'd']],
  ['a here-document', `a <<'END'\n it's\nEND\nb`, [`a <<'END'\n it's\nEND`, 'b']],
  ['a prompt', '$ a\n\n# b\n$ c', ['a', 'c']],
])('commands are told apart: %s', (_, text, commands) => {
  expect(commandsOf(text)).toEqual(commands)
})
