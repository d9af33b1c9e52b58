import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { variables } from '../src/config/config.ts'
import { errorCatalogue } from '../src/base/errors.ts'
import type { ErrorKind } from '../src/base/errors.ts'
import type { Variable } from '../src/config/variable.ts'

/** The documents that are made from the code: their path, and the text that they must have. */
export const generatedDocuments: Readonly<Record<string, () => string>> = {
  'docs/ERRORS.md': errorsDocument,
  'docs/CONFIG.md': configDocument,
}

function errorsDocument(): string {
  const rows = Object.entries<ErrorKind>(errorCatalogue).map(
    ([code, { status, retryable, description }]) =>
      `| \`${code}\` | ${status} | ${retryable ? 'yes' : 'no'} | ${description} |`,
  )
  return `# Errors

Made from \`src/base/errors.ts\` by \`npm run docs\`.

Over HTTP an error is \`{"message": "..."}\` with the header \`x-amzn-ErrorType: <code>\`, as AWS IoT answers. On the command line it is
one line, \`sluice: <message>\`, and exit code 1. "Retryable" says whether the same call can succeed later without a
change by the caller.

| code | HTTP status | retryable | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
`
}

function configDocument(): string {
  const rows = Object.entries<Variable>(variables).map(
    ([name, { description, default: value }]) =>
      `| \`${name}\` | ${value === undefined ? '' : `\`${value}\``} | ${description} |`,
  )
  return `# Configuration

Made from \`src/config/config.ts\` by \`npm run docs\`.

Sluice is configured by environment variables. A value that cannot be used ends the start with one line that names the variable and
what it takes. In \`sluice start\` the AWS SDK's own variables (\`AWS_PROFILE\`, \`AWS_ENDPOINT_URL_KINESIS\`, \`AWS_ENDPOINT_URL_STS\` and so on)
mean what they mean everywhere; \`sluice lab\` and \`sluice kinesis\` ignore them.

| variable | default | meaning |
| --- | --- | --- |
${rows.join('\n')}
`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [file, text] of Object.entries(generatedDocuments)) {
    writeFileSync(fileURLToPath(new URL(`../${file}`, import.meta.url)), text())
  }
}
