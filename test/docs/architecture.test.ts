import { readFileSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'

const text = readFileSync(new URL('../../docs/ARCHITECTURE.md', import.meta.url), 'utf8')
const { order, sentences } = readRooms()

/** The rooms in order (`.` is the root), and the rows as `outbox/room.ts` -> sentence. */
function readRooms() {
  const [, tables = ''] = text.split('\n## The rooms\n')
  const rows = new Map<string, string>()
  const rooms = new Set<string>()
  let room = ''
  for (const line of (tables.split('\n## ')[0] ?? '').split('\n')) {
    const [, heading] = /^#{3,4} (?:`(.*)`|the root)$/.exec(line) ?? []
    if (line.startsWith('#')) room = heading ?? ''
    const [, file, sentence] = /^\| `([^`]+\.ts)` *\| (.*?) *\|$/.exec(line) ?? []
    if (file === undefined) continue
    rows.set(`${room}${file}`, sentence ?? '')
    rooms.add(room.replace(/\/$/, '') || '.')
  }
  return { order: [...rooms], sentences: rows }
}

function sourceFiles(): string[] {
  const files = readdirSync(new URL('../../src', import.meta.url), { recursive: true })
  return files.map(String).filter((file) => file.endsWith('.ts'))
}

/** The list of `npm run check:house`, which holds the imports to it. */
function floors(): string[] {
  const source = readFileSync(new URL('../../scripts/check-house.ts', import.meta.url), 'utf8')
  const [, list = ''] = /^const floors = \[\n([^\]]*)\]/m.exec(source) ?? []
  return [...list.matchAll(/'(.*)'/g)].map(([, floor = '']) => floor)
}

test('docs/ARCHITECTURE.md names every file of src/, and no file that is gone', () => {
  expect([...sentences.keys()].toSorted()).toEqual(sourceFiles().toSorted())
})

test('docs/ARCHITECTURE.md lists the rooms in the order of the floors', () => {
  expect(order).toEqual(floors())
})

test('docs/ARCHITECTURE.md describes each file in one sentence', () => {
  const isOneSentence = /^[A-Z`\d][^.]*(\.[^ ][^.]*)*\.$/
  expect([...sentences].filter(([, sentence]) => !isOneSentence.test(sentence))).toEqual([])
})
