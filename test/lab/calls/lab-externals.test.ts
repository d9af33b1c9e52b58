import path from 'node:path'
import { expect, test } from 'vitest'
import { createLabExternals } from '../../../src/lab/calls/lab-externals.ts'
import { startMappings } from '../../event-source/mapping-parts.ts'
import { createManualClock } from '../../helpers/manual-clock.ts'

const never = new AbortController().signal
const hanging = `export const handler = async ({ n }) => {
  console.log('GOT ' + n)
  if (n > 0) await new Promise(() => setInterval(() => {}, 1_000))
  return n
}`

const optionsWith = (functionsDir: string) => ({
  region: 'us-east-1',
  protoDir: undefined,
  stubsDir: '/nowhere',
  functionsDir,
  emulators: { endpoints: {}, hosts: [] },
})

async function start(functions: Readonly<Record<string, string>>) {
  const clock = createManualClock()
  const run = await startMappings({ port: 1 }, functions, { clock })
  const { functionsDir } = run
  const { call } = createLabExternals(
    { clock, functions: run.mappings.functions },
    optionsWith(functionsDir),
  )
  const lambda = (functionArn: string, n = 0) =>
    call({ function: 'aws_lambda', functionArn, inputJson: JSON.stringify({ n }) }, never)
  const printed = () => run.logLines.filter(({ msg }) => String(msg).startsWith('GOT ')).length
  const until = (holds: () => boolean) => run.until(holds)
  return { functionsDir, clock, lambda, printed, until }
}

test('a call whose time is over leaves its function running, and its place in the line', async () => {
  const { clock, lambda, printed, until } = await start({ 'f.mjs': hanging })
  const running = Array.from({ length: 10 }, () => lambda('f', 1))
  await until(() => printed() === 10)
  const waiting = Array.from({ length: 20 }, () => lambda('f', 1))
  const ended = Promise.allSettled([...running, ...waiting])
  clock.advance(2_000)
  const reasons = (await ended).map((each) => (each.status === 'rejected' ? `${each.reason}` : ''))
  expect(new Set(reasons)).toEqual(new Set(['Error: no answer within 2000 ms']))
  // Those that waited are gone: an instance that becomes free takes this call and no other.
  const next = lambda('f', 0)
  clock.advance(1_000)
  expect(await next).toMatchObject({ source: '0' })
  // What a function prints may come after its answer.
  await until(() => printed() > 10)
  expect(printed()).toBe(11)
})

test('no more is begun while 256 invocations have not ended', async () => {
  const clock = createManualClock()
  const { call } = createLabExternals(
    { clock, functions: { invoke: () => new Promise(() => {}) } },
    optionsWith('/functions'),
  )
  const lambda = () => call({ function: 'aws_lambda', functionArn: 'f', inputJson: '0' }, never)
  const ended = Promise.allSettled(Array.from({ length: 256 }, lambda))
  clock.advance(2_000)
  await ended
  await expect(lambda()).rejects.toThrow('256 invocations of functions have not ended yet')
})

test('the name of a function may be an ARN with a version, and its file is named', async () => {
  const { functionsDir, lambda } = await start({})
  const arn = 'arn:aws:lambda:eu-west-1:123456789012:function:enrich:PROD'
  await expect(lambda(arn)).rejects.toThrow(
    `nothing answers in the lab yet: make ${path.join(functionsDir, 'enrich.mjs')}, such as ` +
      'export const handler = async (event) =>',
  )
  await expect(lambda('../f')).rejects.toThrow("Value '../f' at 'functionName' failed")
})
