import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { connectAsync } from 'mqtt'
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'
import type { SluiceProcess } from '../helpers/sluice-process.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let sluice: SluiceProcess

beforeEach(async () => {
  folder = await temporaryFolder()
  await mkdir(inFolder('policies'))
  const policy = {
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }],
  }
  await writeFile(inFolder('policies/p.json'), JSON.stringify(policy))
  await writeFile(inFolder('policies/p.meta.json'), '{"targets": ["all"]}')
  sluice = startSluice(['lab'], {
    SLUICE_DATA_DIR: inFolder('data'),
    SLUICE_RULES_DIR: inFolder('rules'),
    SLUICE_POLICIES_DIR: inFolder('policies'),
    SLUICE_FUNCTIONS_DIR: inFolder('functions'),
  })
})

afterEach(async () => {
  sluice.kill('SIGKILL')
  await sluice.ended
  await folder.remove()
})

const inFolder = (name: string) => path.join(folder.path, name)

test('a policy that cannot be read keeps clients out and is told by health, until it can', async () => {
  const { mqtt, http } = await sluice.ready()
  const connect = async () => {
    const client = await connectAsync(`mqtt://127.0.0.1:${mqtt as number}`, {}, false)
    onTestFinished(() => void client.end(true))
    return client
  }
  const health = async () => {
    const answer = await fetch(`http://127.0.0.1:${http as number}/v1/health`)
    return { status: answer.status, body: await answer.json() }
  }
  const metric = async () => {
    const answer = await fetch(`http://127.0.0.1:${http as number}/v1/metrics`)
    return /^sluice_identity_files_unreadable\{files="policies"\} (\d)$/m.exec(
      await answer.text(),
    )?.[1]
  }
  await connect()
  expect([await health(), await metric()]).toEqual([{ status: 200, body: { status: 'ok' } }, '0'])

  // A link to itself: the system does not say what stands there, and not that nothing does.
  await symlink('p.json', inFolder('policies/link'))
  await rename(inFolder('policies/p.json'), inFolder('policies/away'))
  await rename(inFolder('policies/link'), inFolder('policies/p.json'))
  const line = await sluice.logged((each) => each['level'] === 'error')
  expect(line).toMatchObject({ file: inFolder('policies/p.json') })
  await expect.poll(health, { timeout: 10_000 }).toEqual({
    status: 200,
    body: { status: 'degraded', reasons: ['policiesUnreadable'] },
  })
  expect(await metric()).toBe('1')
  await expect(connect()).rejects.toThrow('Not authorized')

  await rename(inFolder('policies/away'), inFolder('policies/p.json'))
  await expect.poll(health, { timeout: 10_000 }).toEqual({ status: 200, body: { status: 'ok' } })
  await connect()
})
