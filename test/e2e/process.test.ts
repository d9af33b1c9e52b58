import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { runSluice, startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let environment: Record<string, string>
const running: SluiceProcess[] = []

beforeEach(async () => {
  folder = await temporaryFolder()
  environment = {
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
  }
})

afterEach(async () => {
  for (const sluice of running.splice(0)) {
    sluice.kill('SIGKILL')
    await sluice.ended
  }
  await folder.remove()
})

function start(words: readonly string[], more: Record<string, string> = {}): SluiceProcess {
  const sluice = startSluice(words, { ...environment, ...more })
  running.push(sluice)
  return sluice
}

function expectOneLine(
  result: { code: unknown; stdout: string; stderr: string },
  message: RegExp,
): void {
  expect(result.stderr).toMatch(/^sluice: .*\n$/)
  expect(result.stderr).toMatch(message)
  expect(result.code).toBe(1)
}

describe('a start that cannot be is one line that says which and why, and exit code 1', () => {
  test.each([
    ['SLUICE_MQTT_PORT', 'lab'],
    ['SLUICE_HTTP_PORT', 'lab'],
    ['SLUICE_LAB_PORT', 'lab'],
    ['SLUICE_LAB_PORT', 'kinesis'],
  ])('%s of `%s` is taken', async (variable, command) => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const result = await runSluice([command], { ...environment, [variable]: String(port) })
    await new Promise((resolve) => server.close(resolve))
    expectOneLine(result, new RegExp(`127\\.0\\.0\\.1:${port}`))
  })

  test('a bad variable', async () => {
    const result = await runSluice(['lab'], { ...environment, SLUICE_MQTT_PORT: 'mqtt' })
    expectOneLine(result, /SLUICE_MQTT_PORT=mqtt/)
  })

  test('`start` without a region', async () => {
    expectOneLine(await runSluice(['start'], environment), /AWS_REGION/)
  })

  test.each([
    ['no JSON', 'bad.json', '{', /bad\.json/],
    ['no payload', 'bad.json', '{"sql": 1, "actions": []}', /bad\.json: sql /],
    [
      'bad SQL',
      'bad.json',
      JSON.stringify({ sql: "SELEKT * FROM 'a'", actions: [] }),
      /bad\.json.*line 1, column 1/,
    ],
    ['bad metadata', 'bad.meta.json', '[]', /bad\.meta\.json/],
  ])('a rule file with %s', async (_what, name, text, message) => {
    const rulesDir = path.join(folder.path, 'rules')
    await mkdir(rulesDir)
    const payload = JSON.stringify({ sql: "SELECT * FROM 'a'", actions: [] })
    await writeFile(path.join(rulesDir, 'bad.json'), payload)
    await writeFile(path.join(rulesDir, name), text)
    const more = { AWS_REGION: 'us-east-1', SLUICE_ACCOUNT_ID: '000000000000' }
    expectOneLine(await runSluice(['start'], { ...environment, ...more }), message)
  })

  test('a data folder that another process uses', async () => {
    await start(['lab']).ready()
    expectOneLine(await runSluice(['lab'], environment), /data.*(another process|in use|locked)/)
  })

  test('a data folder of a newer release', async () => {
    await start(['lab']).ready()
    const dataDir = path.join(folder.path, 'data')
    for (const sluice of running.splice(0)) {
      sluice.kill('SIGTERM')
      await sluice.ended
    }
    const format = JSON.parse(await readFile(path.join(dataDir, 'format.json'), 'utf8')) as object
    await writeFile(path.join(dataDir, 'format.json'), JSON.stringify({ ...format, version: 99 }))
    expectOneLine(await runSluice(['lab'], environment), /99/)
  })
})

test('an absent rules folder is created, in the lab with one sample', async () => {
  await start(['lab']).ready()
  expect(await readdir(path.join(folder.path, 'rules'))).toEqual(['hot_devices.json'])
})

test('after `kill -9` the next process takes the data folder over', async () => {
  const first = start(['lab'])
  await first.ready()
  first.kill('SIGKILL')
  expect(await first.ended).toBe('SIGKILL')
  await start(['lab']).ready()
})

test('Ctrl-C ends it as SIGTERM does, with exit code 0', async () => {
  const sluice = start(['lab'])
  await sluice.ready()
  sluice.kill('SIGINT')
  expect(await sluice.ended).toBe(0)
})

describe('every command', () => {
  const commands =
    'lab start kinesis pub sub simulate check evaluate tail keys passwd policies certs'.split(' ')

  test('stands in `sluice --help`', async () => {
    const { code, stdout } = await runSluice(['--help'])
    expect(code).toBe(0)
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^ +${command}\\b`, 'm'))
  })

  test.each(commands)('%s --help has an example', async (command) => {
    const { code, stdout } = await runSluice([command, '--help'])
    expect(code).toBe(0)
    expect(stdout).toMatch(new RegExp(`Examples?:\\n(.*\\n)*? .*sluice ${command}`))
  })

  test('that does not exist is refused, with a hint', async () => {
    const { code, stderr } = await runSluice(['tali', 'x'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/unknown command 'tali'[\s\S]*tail/)
  })
})
