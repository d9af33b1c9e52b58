import { describe, expect, test } from 'vitest'
import { encodeServiceCall } from '../../../src/aws/call/service-call.ts'
import { createRecordedCalls } from '../../../src/lab/calls/recorded-calls.ts'
import { createLabSenders } from '../../../src/lab/calls/lab-senders.ts'
import type { QueuedRecord, ServiceDestination } from '../../../src/outbox/outbox.ts'
import { deliveryDefaults } from '../../../src/outbox/outbox.ts'
import { createMemoryLogger } from '../../../src/telemetry/telemetry.ts'
import { startMappings } from '../../event-source/mapping-parts.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

const arnOf = (name: string) => `arn:aws:lambda:us-east-1:000000000000:function:${name}`

function lambdaDestination(name: string): ServiceDestination {
  return {
    kind: 'lambda',
    region: 'us-east-1',
    target: arnOf(name),
    credentials: { kind: 'process' },
    settings: deliveryDefaults,
  }
}

function recordFor(name: string, text: string): QueuedRecord {
  const call = encodeServiceCall({
    operation: 'Invoke',
    parameters: { FunctionName: arnOf(name), InvocationType: 'Event' },
    body: { member: 'Payload', as: 'bytes' },
  })
  const data = Buffer.from(text)
  return { ruleName: 'r', actionIndex: 0, call, data } as QueuedRecord
}

async function start(functions: Readonly<Record<string, string>>) {
  const clock = createManualClock()
  const run = await startMappings({ port: 1 }, functions, { clock })
  const calls = createRecordedCalls()
  const lines: Record<string, unknown>[] = []
  const senderFor = createLabSenders({
    calls,
    functions: run.mappings.functions,
    functionsDir: '/the/functions',
    emulators: { senderFor: () => undefined },
    kafka: { senderFor: () => expect.unreachable() },
    labActions: { takesBrokers: () => false },
    outbox: { sourceOf: () => ({ topic: 't', messageId: 'm' }) as never },
    clock,
    logger: createMemoryLogger((line) => lines.push(line)),
  })
  const send = (name: string, text: string) =>
    senderFor(lambdaDestination(name)).send([recordFor(name, text)], new AbortController().signal)
  const recorded = () => calls.list({ maxResults: 100 }).calls
  const printed = () =>
    run.logLines.map(({ msg }) => String(msg)).filter((text) => text.startsWith('GOT '))
  const until = (holds: () => boolean) => run.until(holds)
  const stop = () => run.stop()
  return { clock, lines, logLines: run.logLines, send, recorded, printed, until, stop }
}

const printing = `export const handler = async (event) => console.log('GOT ' + JSON.stringify(event))`
const failing = `export const handler = async (event) => {
  console.log('GOT ' + JSON.stringify(event))
  throw new TypeError('no such member')
}`
const delivered = { answered: true, records: [{ ok: true }] }

describe('a lambda action in the lab', () => {
  test('runs the function of the folder with the output of the rule as its event', async () => {
    const { send, recorded, printed, until } = await start({ 'f.mjs': printing })
    expect(await send('f', '{"temp":1}')).toEqual(delivered)
    await until(() => printed().length > 0)
    expect(printed()).toEqual(['GOT {"temp":1}'])
    expect(recorded()).toEqual([])
  })

  test('whose function fails invokes it again after one minute and after two', async () => {
    const { send, printed, until, clock, logLines } = await start({ 'f.mjs': failing })
    expect(await send('f', '1')).toEqual(delivered)
    const failures = () => logLines.filter(({ msg }) => msg === 'an asynchronous invocation failed')
    await until(() => failures().length === 1)
    clock.advance(59_999)
    expect(clock.timerCount).toBeGreaterThan(0)
    clock.advance(1)
    await until(() => failures().length === 2)
    clock.advance(120_000)
    await until(() => logLines.some(({ msg }) => msg === 'an asynchronous invocation was given up'))
    await until(() => printed().length === 3)
    expect(failures().map(({ delayMs }) => delayMs)).toEqual([60_000, 120_000])
  })

  test('whose function the folder lacks is recorded, and the log says where to put it', async () => {
    const { send, recorded, lines } = await start({})
    expect(await send('g', '{"temp":1}')).toEqual(delivered)
    expect(await send('g', '{"temp":2}')).toEqual(delivered)
    expect(recorded()).toMatchObject([
      { operation: 'Invoke', parameters: { FunctionName: arnOf('g'), Payload: '{"temp":1}' } },
      { parameters: { Payload: '{"temp":2}' } },
    ])
    expect(lines.map(({ msg }) => msg)).toEqual([
      'the lab recorded a call instead of making it: GET /v1/lab/calls shows it; to run the ' +
        'function, put g.mjs, which exports `handler`, into /the/functions',
    ])
  })

  test('keeps its record while the lab stops', async () => {
    const waiting = `export const handler = () => new Promise((resolve) => {
      console.log('GOT it'); setTimeout(resolve, 60_000)
    })`
    const { send, stop, printed, until } = await start({ 'f.mjs': waiting })
    const sent = send('f', '1')
    await until(() => printed().length > 0)
    await stop()
    expect(await sent).toMatchObject({
      answered: false,
      failure: { code: 'ServiceUnavailableException', message: 'the engine stops' },
    })
    expect(await send('f', '2')).toMatchObject({ answered: false })
  })
})
