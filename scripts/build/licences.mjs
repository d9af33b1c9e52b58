// The licences of bundled packages: most of them ask to be copied along with the code.
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'

/** Licences whose terms are met by a copy of them. Another one is to be read before it is added. */
const accepted = new Set([
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'MIT',
  'Unlicense',
])

const licenceFile = /^(licen[cs]e|copying|notice)([-.].*)?$/i

/**
 * The page of @fastify/swagger-ui is a copy of this package, which is not installed.
 *
 * @returns its version, as @fastify/swagger-ui has it
 */
export function swaggerUiVersion(root) {
  const file = path.join(root, 'node_modules/@fastify/swagger-ui/package.json')
  return JSON.parse(readFileSync(file, 'utf8')).devDependencies['swagger-ui-dist']
}

const swaggerUi = {
  title: 'swagger-ui-dist (Apache-2.0)',
  text: 'Copyright 2020-2021 SmartBear Software Inc.\nThe text is the one in LICENSE, of Sluice.\n',
}

/**
 * @param bundled paths of the files of which something is in a bundle
 * @returns the text of dist/THIRD-PARTY-LICENSES.txt: packages with one licence text stand together
 * @throws Error that names a package whose licence is not one of those that are known
 */
export function licencesOf(root, bundled) {
  const packages = [...foldersIn(bundled)]
    .map((folder) => readPackage(path.join(root, folder)))
    .toSorted((a, b) => a.title.localeCompare(b.title, 'en'))
  const titles = new Map()
  for (const { title, text } of [...packages, swaggerUi]) {
    titles.set(text, (titles.get(text) ?? new Set()).add(title))
  }
  const sections = [...titles].map(([text, these]) => `${[...these].join('\n')}\n\n${text}`)
  return ['The bundles in this folder contain code of these packages.\n', ...sections].join(
    `\n${'-'.repeat(80)}\n\n`,
  )
}

/** Folders of the packages that the files belong to, those inside other packages included. */
export function foldersIn(bundled) {
  const pattern = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//
  return new Set([...bundled].flatMap((file) => pattern.exec(file)?.[1] ?? []))
}

function readPackage(folder) {
  const { name, version, license, author, homepage } = JSON.parse(
    readFileSync(path.join(folder, 'package.json'), 'utf8'),
  )
  if (!accepted.has(license)) throw new Error(`${name}: nobody has read the licence ${license}`)
  const files = readdirSync(folder).filter((file) => licenceFile.test(file))
  const texts = files.map((file) => readFileSync(path.join(folder, file), 'utf8').trim())
  if (texts.length === 0) {
    texts.push(`By ${author?.name ?? author ?? 'its authors'}, ${homepage ?? 'no page'}`)
  }
  const text = `${texts.join('\n\n')}\n`.replaceAll('\r\n', '\n')
  return { title: `${name} ${version} (${license})`, text }
}
