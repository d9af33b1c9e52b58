import { readFileSync } from 'node:fs'
import { connectAsync } from 'mqtt'
import { describe, expect, test } from 'vitest'
import { listApiOperations } from '../../scripts/api-operations.ts'
import { apis } from '../../src/http/api-routes.ts'
import { actionKinds } from '../../src/actions/compile-actions.ts'
import { createActionRefusals } from '../../src/app/rule-stage.ts'
import { startIngress } from '../ingress/helpers.ts'

/** docs/NOT-SUPPORTED.md says what the code does; docs.test.ts keeps it up to date. */
const text = readFileSync(new URL('../../docs/NOT-SUPPORTED.md', import.meta.url), 'utf8')
const [, ofIot = ''] = /^([^]*)^## AWS Lambda$/m.exec(text) ?? []
const [, ofLambda = ''] = /^## AWS Lambda$([^]*)^## /m.exec(text) ?? []
const hasSection = (title: string) => text.includes(`\n### ${title}\n`)

function namesIn(part: string, list: RegExp): string[] {
  return [...part.matchAll(list)].flatMap(([, names = '']) => names.split(/,\s/))
}

const served = await listApiOperations()

describe('the operations that are missing are those without a route', () => {
  const listed = /^Missing operations(?: of the data plane)?: ([^.]+)\./gm
  test.each([
    ['AWS IoT', ofIot, ['AWS IoT control plane', 'AWS IoT data plane']],
    ['Lambda', ofLambda, ['AWS Lambda']],
  ] as const)('of %s', (_, part, names) => {
    const wanted = apis.all
      .filter(({ name }) => names.some((each) => each === name))
      .flatMap((api) => {
        const ofApi = served.filter((it) => it.api === api).map((it) => it.operation.id)
        return Object.keys(api.awsOperations ?? {}).filter((id) => !ofApi.includes(id))
      })
    expect(wanted.length).toBeGreaterThan(0)
    expect(namesIn(part, listed).toSorted()).toEqual(wanted.toSorted())
  })
})

test('the actions that are missing are those that start refuses', async () => {
  const { refusalOf } = await createActionRefusals()
  const refused = actionKinds.filter((kind) => refusalOf(kind, {}) !== undefined)
  expect(namesIn(ofIot, /^Sluice executes [^]+?\.\sMissing [^:]+:\s([^.]+)\./gm)).toEqual(refused)
})

describe('a client of MQTT is answered as the document says', () => {
  test.each([
    ['MQTT 5', 5, hasSection('MQTT 5')],
    ['MQTT 3.1.1', 4, false],
  ] as const)('%s', async (_, protocolVersion, isRefused) => {
    const { port } = await startIngress()
    const connecting = connectAsync({ port, protocolVersion, reconnectPeriod: 0 }).then(
      async (client) => {
        await client.endAsync()
        return 'connected'
      },
      () => 'refused',
    )
    expect(await connecting).toBe(isRefused ? 'refused' : 'connected')
  })
})
