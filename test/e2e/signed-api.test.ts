import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { IoTClient, ListTopicRulesCommand } from '@aws-sdk/client-iot'
import { expect, onTestFinished, test } from 'vitest'
import { runSluice, startSluice, temporaryFolder } from '../helpers/sluice-process.ts'

test('`sluice start` is closed until `sluice keys create` made a key', async () => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  await mkdir(path.join(folder.path, 'rules'))
  const environment = {
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
    SLUICE_ACCOUNT_ID: '210987654321',
    AWS_REGION: 'eu-west-1',
  }
  const sluice = startSluice(['start'], environment)
  onTestFinished(async () => {
    sluice.kill('SIGKILL')
    await sluice.ended
  })
  const closed = await sluice.logged((line) => String(line['msg']).includes('keys create'))
  expect(closed['level']).toBe('warn')
  const { http } = await sluice.ready()
  const endpoint = `http://127.0.0.1:${http as number}`
  expect((await fetch(`${endpoint}/v1/health`)).status).toBe(200)
  const answer = await fetch(`${endpoint}/rules`)
  expect([answer.status, await answer.text()]).toEqual([
    403,
    expect.stringContaining('sluice keys create'),
  ])

  const { code, stdout } = await runSluice(['keys', 'create'], environment)
  expect(code).toBe(0)
  const [, accessKeyId = ''] = /AWS_ACCESS_KEY_ID=(\S+)/.exec(stdout) ?? []
  const [, secretAccessKey = ''] = /AWS_SECRET_ACCESS_KEY=(\S+)/.exec(stdout) ?? []
  await sluice.logged((line) => String(line['msg']).includes('was read again'))
  const iot = new IoTClient({
    endpoint,
    region: 'eu-west-1',
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts: 1,
  })
  onTestFinished(() => iot.destroy())
  expect((await iot.send(new ListTopicRulesCommand({}))).rules).toEqual([])
  expect((await fetch(`${endpoint}/rules`)).status).toBe(403)
  expect(JSON.stringify(sluice.logLines)).not.toContain(secretAccessKey)
})

test('keys that were made before the first start are in its data folder', async () => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  await mkdir(path.join(folder.path, 'rules'))
  const environment = {
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
    SLUICE_AUTH: 'sigv4',
  }
  expect((await runSluice(['keys', 'create'], environment)).code).toBe(0)
  const sluice = startSluice(['lab'], environment)
  onTestFinished(async () => {
    sluice.kill('SIGKILL')
    await sluice.ended
  })
  const { http } = await sluice.ready()
  expect(sluice.logLines.filter((line) => line['level'] === 'warn')).toEqual([])
  expect((await fetch(`http://127.0.0.1:${http as number}/rules`)).status).toBe(403)
})

test('an address that others reach without authentication is warned of at each start', async () => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const sluice = startSluice(['lab'], {
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
    SLUICE_HTTP_HOST: '0.0.0.0',
    SLUICE_INSECURE: '1',
  })
  onTestFinished(async () => {
    sluice.kill('SIGKILL')
    await sluice.ended
  })
  await sluice.ready()
  expect(sluice.logLines.filter((line) => line['level'] === 'warn')).toEqual([
    expect.objectContaining({ variable: 'SLUICE_HTTP_HOST', address: '0.0.0.0' }),
  ])
})
