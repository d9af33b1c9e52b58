import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'

/**
 * Sluice as it is shipped, on each Node.js that it supports. The one that runs the tests is tried;
 * another one is tried where a variable names its binary: NODE_22=/opt/node-22/bin/node.
 */
const root = path.resolve(import.meta.dirname, '../..')

test.for([20, 22, 24])('on Node %i no warning reaches the terminal', async (major, { skip }) => {
  const node = binaryOf(major) ?? skip(`NODE_${major} names no binary`)
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const lab = startSluice(
    ['lab'],
    {
      SLUICE_DATA_DIR: path.join(folder.path, 'data'),
      SLUICE_RULES_DIR: path.join(root, 'rules'),
      SLUICE_FUNCTIONS_DIR: path.join(root, 'functions'),
    },
    { node },
  )
  const ports = (await lab.ready()) as unknown as Record<string, number>
  const client = await connectAsync(`mqtt://127.0.0.1:${ports['mqtt']}`)
  await client.publishAsync('dt/7/telemetry', '{"temp": 61.5}', { qos: 1 })
  await lab.logged((line) => line['function'] === 'print_readings')
  await client.endAsync()
  await fetch(`http://127.0.0.1:${ports['http']}/v1/docs/`)
  lab.kill('SIGTERM')
  expect(await lab.ended).toBe(0)
  expect(lab.stderr()).toBe('')

  const program = `
    import { consume } from '${path.join(root, 'dist/index.js')}'
    const access = { endpoint: 'http://127.0.0.1:9', region: 'us-east-1' }
    const credentials = { accessKeyId: 'a', secretAccessKey: 'b' }
    await consume({ stream: 'a', ...access, credentials, handler() {} }).catch(() => undefined)`
  const words = ['--input-type=module', '--eval', program]
  expect(await promisify(execFile)(node, words)).toEqual({ stdout: '', stderr: '' })
})

function binaryOf(major: number): string | undefined {
  const runs = Number.parseInt(process.versions.node, 10)
  return runs === major ? process.execPath : process.env[`NODE_${major}`]
}
