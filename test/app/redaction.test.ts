import type { Action } from '@aws-sdk/client-iot'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readEvents, startLab } from './lab-fixtures.ts'

/** What members named in SLUICE_REDACT contain is shown nowhere, whatever a rule makes of it. */
const roleArn = 'arn:aws:iam::000000000000:role/any'
const queueUrl = 'https://sqs.us-east-1.amazonaws.com/000000000000/q'

const kinesis = (partitionKey: string, streamName = 'redacted'): Action => ({
  kinesis: { streamName, partitionKey, roleArn },
})
const rules: readonly (readonly [name: string, sql: string, actions: Action[]])[] = [
  [
    'unmatched',
    "SELECT * FROM 'dt' WHERE pin = 'x' AND a.list = 1 OR person <> person",
    [kinesis('k')],
  ],
  ['quoted', "SELECT * FROM 'dt' WHERE upper(pin) + '!' = n", [kinesis('k')]],
  ['keyed', "SELECT pin AS p, * FROM 'dt'", [kinesis('${pin}')]],
  ['failing', "SELECT pin AS p, n FROM 'dt'", [kinesis('k', '${person.pin}/${pin}')]],
  [
    'recorded',
    "SELECT *, concat('is ', pin) AS x, encode(*, 'base64') AS raw FROM 'dt'",
    [
      { sqs: { queueUrl, roleArn, useBase64: false } },
      { sqs: { queueUrl, roleArn, useBase64: true } },
      { dynamoDBv2: { roleArn, putItem: { tableName: 'table' } } },
      { s3: { roleArn, bucketName: 'bucket', key: 'a/${pin}' } },
    ],
  ],
  ['again', "SELECT pin, pin AS p FROM 'dt'", [{ republish: { roleArn, topic: 'again/${n}' } }]],
]

/** JSON of any shape, with secrets in members named `pin` at any depth. */
const secrets = fc.stringMatching(/^[A-Za-z0-9 "\\é/&]{8,20}$/)
const documentWith = (secret: string) =>
  fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.integer(),
      fc.string(),
      fc.boolean(),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'list', 'id'), tie('value')),
      fc.record({ pIN: fc.constantFrom(secret, [secret], { in: secret }, { [secret]: 1 }) }),
      fc.constant(JSON.stringify({ pin: secret })),
      fc.constant(Buffer.from(JSON.stringify([{ pin: secret }])).toString('base64')),
    ),
  })).value

const messages = secrets.chain((secret) =>
  fc
    .record({ a: documentWith(secret), n: fc.constant(secret), list: documentWith(secret) })
    .map((members) => ({ secret, payload: { ...members, pin: secret, person: { pin: secret } } })),
)

test('events, traces, calls, dead letters and the log show no secret', async () => {
  const lab = await startLab(undefined, () => ({ SLUICE_REDACT: ' PIN, other' }))
  for (const [ruleName, sql, actions] of rules) {
    await lab.createRule(ruleName, { sql, actions, awsIotSqlVersion: '2016-03-23' })
  }
  const { client } = await lab.connect('pump')
  const { next, cancel } = await readEvents(await fetch(`${lab.url}/v1/events?payloads=true`))
  const read = async (path: string): Promise<string> => (await fetch(`${lab.url}${path}`)).text()
  const sent = fc.sample(messages, { numRuns: 20, seed: 16 })
  for (const { payload } of sent) {
    await client.publishAsync('dt', JSON.stringify(payload), { qos: 1 })
  }
  await client.publishAsync('end', '{}', { qos: 1 })

  const shown: string[] = []
  for (let event = await next(); event !== undefined; event = await next()) {
    const [name, data] = event
    shown.push(JSON.stringify(data))
    if (name === 'message')
      shown.push(await read(`/v1/trace?messageId=${String(data['messageId'])}`))
    if (data['topic'] === 'end') break
  }
  await cancel()
  const calls = await read('/v1/lab/calls?maxResults=1000')
  const deadLetters = await read('/v1/dead-letters?maxResults=250')
  shown.push(calls, deadLetters, JSON.stringify(lab.lines))

  const all = shown.map(decoded).join('\n')
  const leaks = sent
    .flatMap(({ secret }) => [secret, JSON.stringify(secret).slice(1, -1), secret.toUpperCase()])
    .filter((form) => all.includes(form))
    .map((form) => all.slice(Math.max(0, all.indexOf(form) - 200), all.indexOf(form) + 50))
  expect(leaks).toEqual([])
  // It looks at what is meant: each way has shown something.
  expect(calls).toContain('"operation":"PutItem"')
  expect(deadLetters).toMatch(/"ruleName":"failing".*"payloadBase64":"/)
  expect(JSON.stringify(lab.lines)).toContain('rule failing')
  expect(all).toContain('upper(pin)')
  expect(shown.length).toBeGreaterThan(2 * sent.length)
})

/** The text, with the base64 in it decoded, and what is base64 in that. */
function decoded(text: string): string {
  const inner = [...text.matchAll(/(?<=")[\w+/]{8,}={0,2}(?=\\*")/g)].map(([found]) =>
    Buffer.from(found, 'base64').toString(),
  )
  const found = inner.filter((each) => each.startsWith('{') || each.startsWith('['))
  return [text, ...found.map(decoded)].join('\n')
}
