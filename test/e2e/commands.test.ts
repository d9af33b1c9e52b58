import path from 'node:path'
import { connectAsync } from 'mqtt'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runSluice, startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

/**
 * Each command does its work as it is shipped: what it imports when it runs is in the bundles, in a
 * form that its code expects.
 */
const root = path.resolve(import.meta.dirname, '../..')
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let sluice: SluiceProcess
let ports: Record<string, number>

beforeAll(async () => {
  folder = await temporaryFolder()
  sluice = startSluice(['lab'], {
    SLUICE_DATA_DIR: folder.path,
    SLUICE_RULES_DIR: path.join(root, 'rules'),
    SLUICE_FUNCTIONS_DIR: path.join(root, 'functions'),
  })
  ports = (await sluice.ready()) as unknown as Record<string, number>
})

afterAll(async () => {
  sluice.kill('SIGKILL')
  await sluice.ended
  await folder.remove()
})

const run = (...words: readonly string[]) => runSluice(words, { SLUICE_DATA_DIR: folder.path })

test('simulate publishes, and tail reads what the rules made of it', async () => {
  const published = await run('simulate', '--rate', 'max', '--port', String(ports['mqtt']))
  expect(published).toMatchObject({ code: 0, stderr: '' })
  expect(published.stdout).toMatch(/^1000 messages published and acknowledged/)

  const stream = 'environmental-telemetry'
  for (const way of [[], ['--fan-out']]) {
    const read = await run('tail', stream, '--limit', '3', '--json', ...way)
    expect(read).toMatchObject({ code: 0, stderr: expect.stringContaining('on the lab') as string })
    expect(read.stdout.trim().split('\n')).toHaveLength(3)
  }
})

test('a function of the lab runs in its thread', async () => {
  const client = await connectAsync(`mqtt://127.0.0.1:${ports['mqtt']}`)
  await client.publishAsync('dt/7/telemetry', '{"temp": 61.5}', { qos: 1 })
  const line = await sluice.logged((each) => each['function'] === 'print_readings')
  expect(line['msg']).toContain('61.5')
  await client.endAsync()
})

test('the local Kinesis speaks CBOR', async () => {
  const answer = await fetch(`http://127.0.0.1:${ports['kinesis']}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-cbor-1.1',
      'x-amz-target': 'Kinesis_20131202.ListStreams',
      authorization: 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request',
    },
    body: Buffer.from([0xa0]),
  })
  expect(answer.status).toBe(200)
  expect(Buffer.from(await answer.arrayBuffer()).toString('latin1')).toContain('StreamNames')
})

test('the API has its page, with the files that it loads', async () => {
  const page = `http://127.0.0.1:${ports['http']}/v1/docs`
  const html = await (await fetch(`${page}/`)).text()
  const files = [...html.matchAll(/(?:href|src)="\.(\/static\/[^"]+)"/g)].map(([, file]) => file)
  expect(files.length).toBeGreaterThan(3)
  for (const file of files) expect((await fetch(`${page}${file}`)).status).toBe(200)
})

test.each([
  ['evaluate', 0, ['--sql', "SELECT t + 1 AS t FROM 'a'", '--topic', 'a', '--payload', '{"t":1}']],
  ['check', 0, [path.join(root, 'rules')]],
  ['certs', 0, ['--dir', 'certs', '--device', 'sensor-1']],
  ['keys', 0, ['create', '--file', 'keys']],
  ['passwd', 1, ['nobody', '--file', 'passwords', '--delete']],
  ['policies', 0, ['list']],
] as const)('%s', async (command, code, words) => {
  const inFolder = words.map((word, index) =>
    words[index - 1] === '--dir' || words[index - 1] === '--file'
      ? path.join(folder.path, word)
      : word,
  )
  expect(await run(command, ...inFolder)).toMatchObject({
    code,
    stdout: expect.stringMatching(/./) as string,
    stderr: expect.not.stringMatching(/Error|Warning/) as string,
  })
})
