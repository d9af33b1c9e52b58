import * as iot from '@aws-sdk/client-iot'
import * as iotDataPlane from '@aws-sdk/client-iot-data-plane'
import * as lambda from '@aws-sdk/client-lambda'
import { format } from 'prettier'

/**
 * The operations of the AWS services whose APIs are served in part, from the service models that
 * AWS's own clients carry. The tables are committed, so that the engine needs none of the clients.
 */
export const awsOperationTables: Readonly<Record<string, () => Promise<string>>> = {
  'src/http/aws-iot/iot-operations.ts': () =>
    tableOf(iot, { name: 'iotOperations', service: 'AWS IoT', client: '@aws-sdk/client-iot' }),
  'src/http/aws-iot/iot-data-operations.ts': () =>
    tableOf(iotDataPlane, {
      name: 'iotDataOperations',
      service: "AWS IoT's data plane",
      client: '@aws-sdk/client-iot-data-plane',
    }),
  'src/http/lambda/lambda-operations.ts': () =>
    tableOf(lambda, {
      name: 'lambdaOperations',
      service: 'AWS Lambda',
      client: '@aws-sdk/client-lambda',
    }),
}

interface TableOptions {
  /** The name of the exported table. */
  readonly name: string
  readonly service: string
  readonly client: string
}

/** @param client the module of an AWS client, which exports the schema of each operation */
async function tableOf(client: object, { name, service, client: source }: TableOptions) {
  const lines = Object.values<unknown>({ ...client })
    .flatMap((value) => operationOf(value) ?? [])
    .toSorted((left, right) => (left.id < right.id ? -1 : 1))
    .map(({ id, method, uri }) => `  ${id}: '${method} ${uri}',`)
  const text = `
/**
 * All operations of ${service} by name, each with its method and URI: facts
 * of the service model that \`${source}\` carries. Made by \`npm run docs\`.
 */
export const ${name} = {
${lines.join('\n')}
}
`
  return format(text.trimStart(), {
    parser: 'typescript',
    semi: false,
    singleQuote: true,
    printWidth: 100,
  })
}

/** The mark of an operation among the schemas of a client. */
const operationKind = 9

/** A schema of an operation is `[9, namespace, name, {http: [method, uri, status]}, ...]`. */
function operationOf(schema: unknown) {
  if (!Array.isArray(schema) || schema[0] !== operationKind) return undefined
  const [, , id, traits] = schema as [number, string, string, { http: [string, string, number] }]
  const [method, uri] = traits.http
  return { id, method, uri }
}
