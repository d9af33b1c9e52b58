import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import * as fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { createIngress } from '../../src/ingress/ingress.ts'
import { createMemoryLogger, createMetrics } from '../../src/telemetry/telemetry.ts'
import { startServer } from '../http/http-fixtures.ts'
import { connectPacket, openRaw, publishPacket } from '../ingress/helpers.ts'
import { openStore, payloadOf, temporaryFolder } from './rule-fixtures.ts'

/** Names that mean something else to a file system, an operating system, a URL, or JavaScript. */
const knownHostile: readonly string[] = [
  '..',
  '../victim',
  '../victim.json',
  '../sibling/x',
  '..\\victim',
  'x/../../victim',
  './x',
  '/tmp/victim',
  '/etc/passwd',
  'C:\\victim',
  '\\\\server\\share',
  'file:///tmp/victim',
  '.hidden',
  'x.meta',
  'x.test',
  'x.json',
  'x\0.json',
  '\0',
  'x\n',
  'x\r\ny',
  ' x ',
  '',
  '~',
  '$HOME',
  '-rf',
  'CON',
  'nul',
  'COM1',
  'aux.json',
  'x:stream',
  '%2e%2e%2fvictim',
  '%c0%ae%c0%ae%c0%afvictim',
  'é',
  'e\u0301',
  '\u202egnp',
  '\uff0e\uff0e\uff0fvictim',
  '\u{1f600}',
  'x'.repeat(128),
  'x'.repeat(129),
  'x'.repeat(300),
  '__proto__',
  'constructor',
  'toString',
]
const parts: readonly string[] = [
  '..',
  '/',
  '\\',
  '.',
  '\0',
  '%2f',
  'victim',
  'x',
  '.json',
  '.meta',
]
const names = fc.oneof(
  fc.constantFrom(...knownHostile),
  fc.array(fc.constantFrom(...parts), { maxLength: 8 }).map((chosen) => chosen.join('')),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.stringMatching(/^[a-z0-9_]{1,3}$/),
)

/** As a client may put a text into a path: Node sends visible characters as they are. */
const encodings: Readonly<Record<string, (text: string) => string>> = {
  component: encodeURIComponent,
  asItIs: (text) => text.replaceAll(/[^!-~]/gu, encodeURIComponent),
  twice: (text) => encodeURIComponent(encodeURIComponent(text)),
  everyByte: (text) => Buffer.from(text).toString('hex').replaceAll(/../g, '%$&'),
}

const ruleBody = JSON.stringify(payloadOf('a/#'))
const arnOf = (name: string) => `arn:aws:iot:eu-central-1:123456789012:rule/${name}`
const message = (name: string) => ({ topic: name, clientId: name, payload: {} })

type Call = (method: string, target: string, body?: string, tagging?: string) => Promise<number>
/** Everything that takes a name of any kind. @returns the status */
const operations: Readonly<
  Record<string, (call: Call, name: string, encoded: string) => Promise<number>>
> = {
  create: (call, _name, encoded) => call('POST', `/rules/${encoded}`, ruleBody),
  createTagged: (call, _name, encoded) =>
    call('POST', `/rules/${encoded}`, ruleBody, `${encoded}=${encoded}`),
  createWithin: (call, _name, encoded) => call('POST', `/rules/x/${encoded}`, ruleBody),
  replace: (call, _name, encoded) => call('PATCH', `/rules/${encoded}`, ruleBody),
  delete: (call, _name, encoded) => call('DELETE', `/rules/${encoded}`),
  disable: (call, _name, encoded) => call('POST', `/rules/${encoded}/disable`),
  deliver: (call, _name, encoded) =>
    call('PUT', `/v1/rules/${encoded}/delivery`, '{"defaults":{"ordering":"strict"}}'),
  tag: (call, name) =>
    call(
      'POST',
      '/tags',
      JSON.stringify({ resourceArn: arnOf(name), tags: [{ Key: name, Value: name }] }),
    ),
  publish: (call, _name, encoded) => call('POST', `/topics/${encoded}?retain=true&qos=1`, 'x'),
  ingest: (call, _name, encoded) => call('POST', `/topics/$aws/rules/${encoded}`, 'x'),
  readRetained: (call, _name, encoded) => call('GET', `/retainedMessage/${encoded}`),
  disconnect: (call, _name, encoded) => call('DELETE', `/connections/${encoded}`),
  evaluate: (call, name) =>
    call('POST', '/v1/evaluate', JSON.stringify({ ruleName: name, message: message(name) })),
}

const attempts = fc.record({
  operation: fc.constantFrom(...Object.values(operations)),
  encoding: fc.constantFrom(...Object.values(encodings)),
  name: names,
})
const runs = 25
const attemptsPerRun = 120
const clientsPerRun = 4

/** An engine's folder, with what a path that leaves it would find. */
async function startGuarded() {
  const parent = await temporaryFolder()
  const directory = path.join(parent, 'rules')
  await mkdir(path.join(parent, 'sibling'))
  await writeFile(path.join(parent, 'victim.json'), ruleBody)
  const broker = await createIngress({
    ingest: () => Promise.resolve(),
    logger: createMemoryLogger(() => undefined),
    metrics: createMetrics(),
    clock: systemClock,
  })
  onTestFinished(() => broker.close())
  const { port: mqttPort } = await broker.listen({ host: '127.0.0.1', port: 0 })
  const store = await openStore({ directory, rulesMax: 10_000 })
  const { port } = await startServer({ store, dependencies: { broker } })
  return { parent, directory, mqttPort, call: createCall(port) }
}

/** Sends a target as it is: nothing of it is made regular first, as `fetch` does. */
function createCall(port: number): Call {
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  onTestFinished(() => agent.destroy())
  return (method, target, body, tagging) =>
    new Promise((resolve, reject) => {
      const headers = tagging === undefined ? {} : { 'x-amz-tagging': tagging }
      const options = { port, host: '127.0.0.1', agent, method, path: target, headers }
      const sent = request(options, (answer) => {
        buffer(answer).then(() => resolve(answer.statusCode ?? 0), reject)
      })
      sent.once('error', reject).end(body)
    })
}

/** The same names as client id, topic and will of a client of MQTT. */
async function publishAs(port: number, name: string): Promise<void> {
  const client = await openRaw(port)
  const will = { topic: name || 'x', payload: Buffer.from('x'), qos: 1 as const, retain: true }
  const publish = publishPacket({ topic: name || 'x', retain: true })
  client.send(connectPacket({ clientId: name || 'x', will }), publish)
  client.end()
  await client.closed
}

test('whatever a rule, tag, topic or client is called, no path of it leaves the rules folder', async () => {
  const { parent, directory, mqttPort, call } = await startGuarded()
  const run = fc.array(attempts, { minLength: attemptsPerRun, maxLength: attemptsPerRun })
  await fc.assert(
    fc.asyncProperty(run, async (attempted) => {
      const statuses = await Promise.all(
        attempted.map(({ operation, encoding, name }) => operation(call, name, encoding(name))),
      )
      const clients = attempted.slice(0, clientsPerRun)
      await Promise.all(clients.map(({ name }) => publishAs(mqttPort, name)))

      expect(statuses.filter((status) => status >= 500)).toEqual([])
      expect((await readdir(parent)).toSorted()).toEqual(['rules', 'sibling', 'victim.json'])
      expect(await readdir(path.join(parent, 'sibling'))).toEqual([])
      expect(await readFile(path.join(parent, 'victim.json'), 'utf8')).toBe(ruleBody)
      const files = await readdir(directory)
      const strange = files.filter((file) => !/^[a-zA-Z0-9_]{1,128}(?:\.meta)?\.json$/.test(file))
      expect(strange).toEqual([])
    }),
    { numRuns: runs },
  )
  // It was no refusal of everything.
  expect((await readdir(directory)).length).toBeGreaterThan(100)
})
