import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'

/** What documents point to exists: files and headings behind links, and files that they name. */
const root = path.resolve(import.meta.dirname, '../..')
const folders = ['.', 'docs', 'docs/decisions', 'samples']
const documents = folders.flatMap((folder) =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => path.posix.join(folder, name)),
)
const textOf = (file: string) => readFileSync(path.join(root, file), 'utf8')

/** The anchors of a document's headings, as GitHub makes them. */
function anchorsOf(file: string): ReadonlySet<string> {
  const headings = textOf(file).matchAll(/^#+ (.*)$/gm)
  return new Set(
    [...headings].map(([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

function exists(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#')
  const target = file === '' ? from : path.posix.join(path.posix.dirname(from), file)
  if (!existsSync(path.join(root, target))) return false
  return anchor === undefined || !target.endsWith('.md') || anchorsOf(target).has(anchor)
}

test.each(documents)('%s links to files and headings that exist', (document) => {
  const links = [...textOf(document).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  const local = links.filter((link) => !/^[a-z]+:/.test(link))
  expect(local.filter((link) => !exists(document, link))).toEqual([])
})

// Decisions and the changelog name files as they were at the time of writing.
const currentDocuments = documents.filter((file) => !/decisions|CHANGELOG/.test(file))

test.each(currentDocuments)('%s names files that exist', (document) => {
  const paths = /`((?:src|test|scripts|bench|bin|samples|docs)\/[\w./-]+\w)`/g
  const names = [...textOf(document).matchAll(paths)].map(([, name = '']) => name)
  expect(names.filter((name) => !existsSync(path.join(root, name)))).toEqual([])
})
