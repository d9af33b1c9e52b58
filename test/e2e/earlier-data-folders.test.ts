import { KinesisClient } from '@aws-sdk/client-kinesis'
import { cp, readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readStream } from '../helpers/read-stream.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'

const fixtures = path.resolve(import.meta.dirname, '../fixtures/data-folders')

/**
 * Each folder is that of a release: a lab killed with SIGKILL while the stream `kept` was throttled
 * (five records wait) and `lost` refused its records (two dead letters), beside the sample mapping.
 * The later ones hold the same; three of their records are of one message of 6 KB, which format 3
 * stores once for them.
 */
const releases = (await readdir(fixtures)).filter((name) => /^\d/.test(name))

test.each(releases)('a data folder of %s opens with all that was accepted', async (release) => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const dataDir = path.join(folder.path, 'data')
  const rulesDir = path.join(folder.path, 'rules')
  await cp(path.join(fixtures, release), dataDir, { recursive: true })
  await cp(path.join(fixtures, 'rules'), rulesDir, { recursive: true })
  const lab = startSluice(
    ['lab'],
    { SLUICE_DATA_DIR: dataDir, SLUICE_RULES_DIR: rulesDir },
    { cwd: folder.path },
  )
  onTestFinished(() => lab.kill('SIGKILL'))
  const { kinesis: port, http } = await lab.ready()

  const kinesis = new KinesisClient({
    endpoint: `http://127.0.0.1:${String(port)}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  })
  const records = await readStream(kinesis, 'kept', 5)
  expect(records.map(({ data }) => data.toString()).toSorted()).toEqual(
    [1, 2, 3, 4, 5].map((n) => `{"n":${n}}`),
  )

  const get = async (url: string): Promise<unknown> =>
    (await fetch(`http://127.0.0.1:${String(http)}${url}`)).json()
  expect(await get('/v1/dead-letters')).toMatchObject({
    deadLetters: [
      { ruleName: 'lost', dataBase64: Buffer.from('{"n":1}').toString('base64') },
      { ruleName: 'lost', dataBase64: Buffer.from('{"n":2}').toString('base64') },
    ],
  })
  expect(await get('/2015-03-31/event-source-mappings/')).toMatchObject({
    EventSourceMappings: [{ UUID: '30cbf1e0-ba43-486d-b76e-229c5ff9ad08' }],
  })
  expect(JSON.parse(await readFile(path.join(dataDir, 'format.json'), 'utf8'))).toMatchObject({
    owner: 'lab',
  })
  lab.kill('SIGTERM')
  expect(await lab.ended).toBe(0)
})
