import { readFileSync, readdirSync } from 'node:fs'
import { expect, test } from 'vitest'

const folder = new URL('../../docs/decisions/', import.meta.url)
const files = readdirSync(folder).toSorted()

test('decisions are numbered from 1 without gaps and doubles', () => {
  const numbers = files.map((file) => Number(/^(\d{4})-[a-z\d-]+\.md$/.exec(file)?.[1]))
  expect(numbers).toEqual(files.map((_, index) => index + 1))
})

test.each(files)('%s has the form of all decisions', (file) => {
  const text = readFileSync(new URL(file, folder), 'utf8')
  const [, number] =
    /^# (\d+)\. \S.*\n\nStatus: [^.\n]+\. Date: \d{4}-\d{2}-\d{2}\.\n\n/.exec(text) ?? []
  expect(Number(number)).toBe(Number(file.slice(0, 4)))
  const sections = [...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title)
  const isUsed = !text.includes('\nStatus: not used.')
  expect(sections).toEqual(isUsed ? ['Context', 'Decision', 'Consequences'] : [])
})
