import { readFileSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'

const rooms = readRooms(
  readFileSync(new URL('../../docs/ARCHITECTURE.md', import.meta.url), 'utf8'),
)

/** The rows of the tables below `## The rooms`, as `outbox/room.ts` -> its sentence. */
function readRooms(text: string): Map<string, string> {
  const [, tables = ''] = text.split('\n## The rooms\n')
  const sentences = new Map<string, string>()
  let room = ''
  for (const line of (tables.split('\n## ')[0] ?? '').split('\n')) {
    const [, heading] = /^#{3,4} (?:`(.*)`|the root)$/.exec(line) ?? []
    if (line.startsWith('#')) room = heading ?? ''
    const [, file, sentence] = /^\| `([^`]+\.ts)` *\| (.*?) *\|$/.exec(line) ?? []
    if (file !== undefined) sentences.set(`${room}${file}`, sentence ?? '')
  }
  return sentences
}

function sourceFiles(): string[] {
  const files = readdirSync(new URL('../../src', import.meta.url), { recursive: true })
  return files
    .map((file) => String(file).replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.ts'))
}

test('docs/ARCHITECTURE.md names every file of src/, and no file that is gone', () => {
  expect([...rooms.keys()].toSorted()).toEqual(sourceFiles().toSorted())
})

test('docs/ARCHITECTURE.md describes each file in one sentence', () => {
  const others = [...rooms].filter(
    ([, sentence]) => !/^[A-Z`\d][^.]*(\.[^ ][^.]*)*\.$/.test(sentence),
  )
  expect(others).toEqual([])
})
