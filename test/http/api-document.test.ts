import { readFileSync } from 'node:fs'
import { Validator } from '@seriousme/openapi-schema-validator'
import { describe, expect, test } from 'vitest'
import { listApiOperations } from '../../scripts/api-operations.ts'
import { apiPageTheme } from '../../src/http/server/api-page.ts'
import { apiRequirements, lambdaRequirements } from '../../src/identity/policies/api-actions.ts'
import { startServer } from './http-fixtures.ts'
import { admin, send, signed, startGuarded } from './guarded-server.ts'
import type { TestKey } from './guarded-server.ts'

interface OperationObject {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly parameters?: readonly { readonly in: string; readonly name: string }[]
  readonly requestBody?: { readonly required: boolean }
  readonly responses: Readonly<Record<string, unknown>>
}
interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>
}

async function readDocument(url: string): Promise<ApiDocument> {
  return (await (await fetch(`${url}/v1/openapi.json`)).json()) as ApiDocument
}

const pagePath = '/v1/docs'

describe('the API document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const { url } = await startServer()
    const document = await readDocument(url)
    expect(await new Validator().validate({ ...document })).toEqual({ valid: true })
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Sluice' } })
  })

  test('has every route that is served, and no other', async () => {
    const { url } = await startServer()
    const { paths } = await readDocument(url)
    // The end of a path that takes any has a name of its own in the document.
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(
        (method) =>
          `${method.toUpperCase()} ${path.replace(/\{(?:topic|arn|confirmationToken)\}/, '*')}`,
      ),
    )
    const served = Object.keys({ ...apiRequirements, ...lambdaRequirements })
      // Pages are for people, and paths of Lambda are served with a slash at their end as well.
      .filter((route) => !route.includes(pagePath) && !route.includes('/console'))
      .filter((route) => !route.endsWith('/'))
      .map((route) => route.replaceAll(/:(\w+)/g, '{$1}'))
    expect(described.toSorted()).toEqual(served.toSorted())
    for (const [path, methods] of Object.entries(paths)) {
      const answer = await fetch(`${url}${path.replaceAll(/[{}]/g, '')}`, { method: 'OPTIONS' })
      const allowed = (answer.headers.get('allow') ?? '').toLowerCase().split(', ')
      const withoutHead = allowed.filter((method) => method !== 'head')
      expect([path, answer.status, withoutHead.toSorted()]).toEqual([
        path,
        405,
        Object.keys(methods).toSorted(),
      ])
    }
  })

  test('names parameters, bodies and errors as they are', async () => {
    const { url } = await startServer()
    const { paths } = await readDocument(url)
    const publish = paths['/topics/{topic}']?.['post']
    expect(publish?.parameters?.map(({ in: place, name }) => `${place} ${name}`)).toEqual([
      'query qos',
      'query retain',
      'query contentType',
      'query responseTopic',
      'query messageExpiry',
      'path topic',
      'header x-amz-mqtt5-user-properties',
      'header x-amz-mqtt5-payload-format-indicator',
      'header x-amz-mqtt5-correlation-data',
    ])
    expect(publish?.requestBody?.required).toBe(false)
    expect(Object.keys(publish?.responses ?? {})).toEqual(
      expect.arrayContaining(['200', '400', '401', '403', '405', '429', '500', '503']),
    )
    const create = paths['/rules/{ruleName}']?.['post']
    expect(create?.requestBody?.required).toBe(true)
    expect(Object.keys(create?.responses ?? {})).toEqual(
      expect.arrayContaining(['200', '400', '401', '403', '409', '500', '503']),
    )
    expect(JSON.stringify(create?.responses)).toContain('ResourceAlreadyExistsException')
  })

  test('gives every operation a name of its own', async () => {
    const ids = (await listApiOperations()).map(
      ({ operation: { id, documentId = id } }) => documentId,
    )
    expect(ids).toContain('CreateEventSourceMapping')
    expect(new Set(ids).size).toBe(ids.length)
  })

  test('lets clients that do not sign call four operations alone', async () => {
    const open = (await listApiOperations()).flatMap(({ operation: { id, access } }) =>
      access === undefined ? [] : [`${id} ${access}`],
    )
    expect(open.toSorted()).toEqual([
      'ConfirmTopicRuleDestination unsigned',
      'GetHealth anyone',
      'GetLive anyone',
      'GetMetrics metricsToken',
    ])
  })

  test('has the statuses and errors of Lambda as Lambda has them', async () => {
    const { url } = await startServer()
    const { paths } = await readDocument(url)
    const create = paths['/2015-03-31/event-source-mappings']?.['post']
    expect(create?.tags).toEqual(['AWS Lambda'])
    expect(Object.keys(create?.responses ?? {})).toEqual([
      '202',
      '400',
      '403',
      '404',
      '409',
      '429',
      '500',
    ])
    expect(JSON.stringify(create?.responses['429'])).toContain('TooManyRequestsException')
    expect(JSON.stringify(create?.responses['409'])).toContain('"Message"')
  })
})

describe('the page of the API document', () => {
  test('has the colours of the console, and its theme', () => {
    const file = new URL('../../console/src/style.css', import.meta.url)
    const declaration = /^ {2}(--[\w-]+: .*;)$/gm
    const ofConsole = readFileSync(file, 'utf8').match(declaration) ?? []
    const own = apiPageTheme.css[0]?.content.match(declaration) ?? []
    expect(own.length).toBeGreaterThan(10)
    expect(ofConsole).toEqual(expect.arrayContaining(own))

    const theme = new URL('../../console/src/shell/theme.ts', import.meta.url)
    const [, key = ''] = /storageKey = ('.*')/.exec(readFileSync(theme, 'utf8')) ?? []
    expect(apiPageTheme.js[0]?.content).toContain(`localStorage.getItem(${key})`)
  })

  test.each([pagePath, `${pagePath}/`])('%s loads from this server alone', async (path) => {
    const { url } = await startServer()
    const answer = await fetch(`${url}${path}`)
    const policy = answer.headers.get('content-security-policy')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toMatch(/^text\/html/)
    expect(policy).toMatch(/default-src 'none'.*script-src 'self';.*frame-ancestors 'none'/)
    const html = await answer.text()
    const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, asset]) => asset ?? '')
    expect(assets.length).toBeGreaterThan(4)
    for (const asset of assets) {
      const loaded = await fetch(new URL(asset, `${url}${path}`))
      await loaded.arrayBuffer()
      expect([asset, loaded.status, new URL(loaded.url).origin]).toEqual([asset, 200, url])
    }
    expect(html).not.toMatch(/<script(?![^>]*src=)/)
  })

  test('shows the same document', async () => {
    const { url } = await startServer()
    const shown: unknown = await (await fetch(`${url}${pagePath}/json`)).json()
    expect(shown).toEqual(await readDocument(url))
  })

  test('has no other files', async () => {
    const { url } = await startServer()
    for (const path of ['nothing.js', '..%2f..%2f..%2fpackage.json', '%2e%2e/package.json']) {
      const answer = await fetch(`${url}${pagePath}/static/${path}`)
      expect([path, answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([
        path,
        404,
        'ResourceNotFoundException',
      ])
    }
  })
})

describe('while requests must be signed', () => {
  const reader: TestKey = {
    accessKeyId: 'READER',
    secretAccessKey: 'secret-of-the-reader',
    statement: { Effect: 'Allow', Action: 'sluice:GetApiDocument', Resource: '*' },
  }
  const other: TestKey = {
    accessKeyId: 'OTHER',
    secretAccessKey: 'secret-of-the-other',
    statement: { Effect: 'Allow', Action: 'iot:*', Resource: '*' },
  }
  test.each([
    '/v1/openapi.json',
    pagePath,
    `${pagePath}/json`,
    `${pagePath}/yaml`,
    `${pagePath}/static/swagger-ui.css`,
    `${pagePath}/static/swagger-initializer.js`,
  ])('%s is for those who may read it', async (path) => {
    const { port } = await startGuarded({ keys: [admin, reader, other] })
    expect((await send(port, { path })).errorType).toBe('MissingAuthenticationTokenException')
    expect((await send(port, signed(port, { path }, { key: other }))).errorType).toBe(
      'AccessDeniedException',
    )
    expect((await send(port, signed(port, { path }, { key: reader }))).status).toBe(200)
  })
})
