import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { temporaryFolder } from '../identity/identity-fixtures.ts'

async function evaluate(
  environment: Record<string, string>,
  sql: string,
  { payload = '{}', words = [] }: { payload?: string; words?: readonly string[] } = {},
) {
  const host = createTestHost(environment)
  const command = ['evaluate', '--sql', sql, '--topic', 'a', '--payload', payload, ...words]
  await createProgram(host).parseAsync(command, { from: 'user' })
  return host.written
}

test('a rule and its templates see the account of the environment', async () => {
  const environment = { SLUICE_ACCOUNT_ID: '210987654321' }
  const words = ['--template', '${accountid()}']
  const { stdout, stderr } = await evaluate(environment, "SELECT accountid() AS a FROM 'a'", {
    words,
  })
  expect(stdout).toBe('{"a":"210987654321"}\n')
  expect(stderr).toBe('${accountid()} -> 210987654321\n')
})

test('without one it is that of the lab', async () => {
  const { stdout } = await evaluate({}, "SELECT accountid() AS a FROM 'a'")
  expect(stdout).toBe('{"a":"000000000000"}\n')
})

test('a payload is as long as MQTT clients may send', async () => {
  const environment = { SLUICE_MQTT_PAYLOAD_BYTES_MAX: '10' }
  const sql = "SELECT * FROM 'a'"
  expect((await evaluate(environment, sql, { payload: '12345678.9' })).stdout).toBe('12345678.9\n')
  await expect(evaluate(environment, sql, { payload: '12345678.90' })).rejects.toThrow(
    'the payload of message has 11 bytes; at most 10 are taken',
  )
})

test('external functions are answered by the functions and stubs of the lab', async () => {
  const folder = await temporaryFolder()
  const environment = { SLUICE_FUNCTIONS_DIR: folder, SLUICE_STUBS_DIR: path.join(folder, 'stubs') }
  const sql = `SELECT aws_lambda('twice', *) AS twice,
    get_secret('s', 'SecretString', 'k', 'arn:aws:iam::000000000000:role/r') AS secret FROM 'a'`
  const missing = evaluate(environment, sql, { payload: '{"n":2}' })
  await expect(missing).rejects.toThrow(
    `aws_lambda(): nothing answers in the lab yet: make ${folder}`,
  )
  await mkdir(path.join(folder, 'stubs/secrets'), { recursive: true })
  await writeFile(path.join(folder, 'stubs/secrets/s.json'), '{"k":"v"}')
  const code = `export const handler = async ({ n }) => { console.log('got', n); return 2 * n }`
  await writeFile(path.join(folder, 'twice.mjs'), code)
  const { stdout, stderr } = await evaluate(environment, sql, { payload: '{"n":2}' })
  expect(stdout).toBe('{"twice":4,"secret":"v"}\n')
  expect(stderr).toBe('twice: got 2\n')
})
