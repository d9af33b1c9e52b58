import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { apis } from '../src/http/api-routes.ts'
import { documentPathOf } from '../src/http/server/describe-operation.ts'
import { variables } from '../src/config/config.ts'
import { errorCatalogue } from '../src/base/errors.ts'
import type { ErrorKind } from '../src/base/errors.ts'
import type { Variable } from '../src/config/variable.ts'
import { awsOperationTables } from './aws-operations.ts'
import { listApiOperations } from './api-operations.ts'
import { schemaFiles } from './json-schemas.ts'
import { markdownTable } from './markdown-table.ts'
import { notSupportedDocument } from './not-supported.ts'

/** The generated files: their path, and a function that makes the text that they must have. */
export const generatedDocuments: Readonly<Record<string, () => string | Promise<string>>> = {
  'docs/ERRORS.md': errorsDocument,
  'docs/CONFIG.md': configDocument,
  'docs/API.md': apiDocument,
  'docs/NOT-SUPPORTED.md': notSupportedDocument,
  ...awsOperationTables,
  ...schemaFiles,
}

/** The document as it is, with a new table of errors between its two markers. */
function errorsDocument(): string {
  const rows = Object.entries<ErrorKind>(errorCatalogue).map(
    ([code, { status, retryable, description }]) => [
      `\`${code}\``,
      String(status),
      retryable ? 'yes' : 'no',
      description,
    ],
  )
  const table = markdownTable(['code', 'HTTP status', 'retryable', 'meaning'], rows)
  return replaceBetween(readFileSync(pathOf('docs/ERRORS.md'), 'utf8'), 'errors', table)
}

/** The document as it is, with a new table of variables between its two markers. */
function configDocument(): string {
  const rows = Object.entries<Variable>(variables).map(
    ([name, { description, default: value, whenUnset = '' }]) => [
      `\`${name}\``,
      value === undefined ? whenUnset : `\`${value}\``,
      description,
    ],
  )
  const table = markdownTable(['variable', 'default', 'meaning'], rows)
  return replaceBetween(readFileSync(pathOf('docs/CONFIG.md'), 'utf8'), 'variables', table)
}

/** The document as it is, with new tables of operations between its two markers. */
async function apiDocument(): Promise<string> {
  const text = readFileSync(pathOf('docs/API.md'), 'utf8')
  const operations = await listApiOperations()
  const sections = apis.all.map((api) => {
    const ofApi = operations.filter((it) => it.api === api)
    const rows = ofApi.map((it) => [
      it.operation.id,
      `\`${it.method} ${documentPathOf(it)}\``,
      it.operation.summary,
    ])
    return `### ${api.name}\n\n${markdownTable(['operation', 'request', 'what it does'], rows)}`
  })
  return replaceBetween(text, 'operations', sections.join('\n\n'))
}

function replaceBetween(text: string, marker: string, replacement: string): string {
  const [begin, end] = [`<!-- ${marker}: made by \`npm run docs\` -->`, `<!-- end of ${marker} -->`]
  const [before, rest = ''] = text.split(begin)
  const [, after] = rest.split(end)
  if (before === undefined || after === undefined) throw new Error(`the marker ${begin} is missing`)
  return `${before}${begin}\n\n${replacement}\n\n${end}${after}`
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(`../${file}`, import.meta.url))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of Object.entries(generatedDocuments)) {
    writeFileSync(pathOf(file), await text())
  }
}
