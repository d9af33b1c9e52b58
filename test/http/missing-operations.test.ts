import * as iotSdk from '@aws-sdk/client-iot'
import * as lambdaSdk from '@aws-sdk/client-lambda'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listApiOperations } from '../../scripts/api-operations.ts'
import { apis } from '../../src/http/api-routes.ts'
import { createOperationFinder } from '../../src/http/server/operation-finder.ts'
import { startServer } from './http-fixtures.ts'
import type { StartedServer } from './http-fixtures.ts'
import { admin, send, signed, startGuarded } from './guarded-server.ts'

/**
 * An operation of AWS that has no route is refused by its name, in the form of its own service. Of
 * the data plane of AWS IoT all are served.
 */
interface SdkClient {
  readonly api: string
  readonly commands: Readonly<Record<string, unknown>>
  readonly clientOf: (server: StartedServer) => { send(command: never): Promise<unknown> }
}
const sdkClients: readonly SdkClient[] = [
  { api: 'AWS IoT control plane', commands: { ...iotSdk }, clientOf: ({ iot }) => iot },
  { api: 'AWS Lambda', commands: { ...lambdaSdk }, clientOf: ({ lambda }) => lambda },
]

const served = await listApiOperations()
const isServed = (api: string, id: string) =>
  served.some((it) => it.api.name === api && it.operation.id === id)

function operationsOf(name: string): readonly (readonly [id: string, operation: string])[] {
  const { awsOperations = {} } = apis.all.find((api) => api.name === name) ?? {}
  return Object.entries(awsOperations)
}

/** A command of an AWS client, in which all that stands in the path is `1`. */
function commandOf({ commands }: SdkClient, id: string, operation: string): never {
  const Command = commands[`${id}Command`] as new (input: object) => unknown
  const labels = [...operation.matchAll(/\{(\w+)\+?\}/g)].map(([, label = '']) => [label, '1'])
  return new Command(Object.fromEntries(labels)) as never
}

describe("AWS's own clients understand that an operation is missing", () => {
  test.each(sdkClients)('of the $api', async (sdk) => {
    const client = sdk.clientOf(await startServer())
    const missing = operationsOf(sdk.api).filter(([id]) => !isServed(sdk.api, id))
    expect(missing.length).toBeGreaterThan(0)
    for (const [id, operation] of missing) {
      const answered = client.send(commandOf(sdk, id, operation))
      await expect(answered).rejects.toMatchObject({
        name: 'InvalidRequestException',
        message: `Sluice does not have ${id}`,
        $metadata: { httpStatusCode: 400, requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
      })
    }
  })

  test('also when its request is larger than any body that is taken', async () => {
    const { lambda } = await startServer()
    const ZipFile = new Uint8Array(1_000_000)
    const create = new lambdaSdk.CreateFunctionCommand({
      FunctionName: 'f',
      Role: 'arn:aws:iam::123456789012:role/r',
      Code: { ZipFile },
    })
    await expect(lambda.send(create)).rejects.toThrow('Sluice does not have CreateFunction')
  })

  test('when requests are signed', async () => {
    const { port } = await startGuarded()
    const settings = {
      endpoint: `http://127.0.0.1:${port}`,
      region: 'eu-central-1',
      credentials: { ...admin },
      maxAttempts: 1,
    }
    const iot = new iotSdk.IoTClient(settings)
    const lambda = new lambdaSdk.LambdaClient(settings)
    onTestFinished(() => [iot, lambda].forEach((client) => client.destroy()))
    await expect(iot.send(new iotSdk.ListThingTypesCommand({}))).rejects.toThrow(/ ListThingTypes$/)
    await expect(lambda.send(new lambdaSdk.ListLayersCommand({}))).rejects.toThrow(/ ListLayers$/)
  })

  test('nothing is said to a client that is not authenticated', async () => {
    const { port } = await startGuarded()
    const answer = await send(port, { path: '/thing-types' })
    expect(answer.errorType).toBe('MissingAuthenticationTokenException')
    const known = await send(port, signed(port, { path: '/thing-types' }))
    expect(known).toMatchObject({ status: 400, message: 'Sluice does not have ListThingTypes' })
  })
})

describe('what is no missing operation', () => {
  test.each([
    ['GET', '/nothing', 404],
    ['GET', '/thing', 404],
    ['GET', '/things/a/b/c', 404],
    ['PATCH', '/thing-groups', 404],
    ['PATCH', '/things', 405],
    ['GET', '/api/things/shadow', 404],
    ['GET', '/2015-03-31/nothing', 404],
    // Served, but not with a slash at the end.
    ['GET', '/endpoint/', 404],
    ['PUT', '/rules/r', 405],
    ['PATCH', '/2015-03-31/event-source-mappings', 405],
  ])('%s %s is answered with %d', async (method, path, status) => {
    const { port } = await startServer()
    expect((await send(port, { method, path })).status).toBe(status)
  })
})

describe('an error has the form of the service that was asked', () => {
  test.each([
    ['/thing-types', { message: 'Sluice does not have ListThingTypes' }],
    [
      '/2018-10-31/layers',
      {
        Type: 'User',
        Message: 'Sluice does not have ListLayers',
        message: 'Sluice does not have ListLayers',
      },
    ],
  ])('%s', async (path, body) => {
    const { port } = await startServer()
    const answer = await send(port, { path })
    expect(answer).toMatchObject({ status: 400, errorType: 'InvalidRequestException' })
    expect(JSON.parse(answer.body)).toEqual(body)
  })
})

describe('an operation is found by its method and path', () => {
  const find = createOperationFinder({
    ListThings: 'GET /things',
    DescribeThing: 'GET /things/{name}',
    ListDefault: 'GET /things/default',
    GetPart: 'GET /things/{name}/parts/{part}',
    Confirm: 'GET /confirm/{token+}',
    ListLayers: 'GET /layers',
    GetLayer: 'GET /layers?find=Layer',
  })
  test.each([
    ['GET', '/things', 'ListThings'],
    ['GET', '/things/?maxResults=1', 'ListThings'],
    ['POST', '/things', undefined],
    ['GET', '/things/a', 'DescribeThing'],
    ['GET', '/things/default', 'ListDefault'],
    ['GET', '/things/a%2Fb', 'DescribeThing'],
    ['GET', '/things//', undefined],
    ['GET', '/things/a/parts/b', 'GetPart'],
    ['GET', '/things/a/parts', undefined],
    ['GET', '/confirm/a', 'Confirm'],
    ['GET', '/confirm/a/b/c', 'Confirm'],
    ['GET', '/confirm', undefined],
    ['GET', '/layers', 'ListLayers'],
    ['GET', '/layers?Arn=x&find=Layer', 'GetLayer'],
    ['GET', '/', undefined],
    ['GET', '', undefined],
    ['constructor', '__proto__', undefined],
  ])('%s %s: %s', (method, target, name) => {
    expect(find(method, target)).toBe(name)
  })

  test.each(sdkClients)('each of the $api is found, and no two are the same', ({ api }) => {
    const operations = operationsOf(api)
    const finder = createOperationFinder(Object.fromEntries(operations))
    for (const [id, operation] of operations) {
      const [method = '', uri = ''] = operation.split(' ')
      expect(finder(method, uri.replaceAll(/\{\w+\+?\}/g, 'x'))).toBe(id)
    }
  })
})

const shape = (url: string) => url.replaceAll(/:\w+|\*|\{\w+\+?\}/g, '{}')

describe('operations that are served', () => {
  test('have the name, the method and the path of the service model', async () => {
    const ofAws = served.filter(({ api }) => api.awsOperations !== undefined)
    expect(ofAws.map((it) => [it.operation.id, shape(`${it.method} ${it.url}`)])).toEqual(
      ofAws.map(({ operation: { id }, api }) => [id, shape(api.awsOperations?.[id] ?? '')]),
    )
  })
})
