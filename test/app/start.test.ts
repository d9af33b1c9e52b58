import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { createStages } from '../../src/app/stages.ts'
import type { Stages } from '../../src/app/stages.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { openDataFolder } from '../../src/storage/data-folder.ts'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'

/** Every stage whose start is waited for. */
const stageNames = [
  'templates',
  'data folder',
  'lab',
  'outbox',
  'account file',
  'device services',
  'registry',
  'topic rule destinations',
  'rules',
  'access keys',
  'event sources',
  'mqtt',
  'http port',
  'account',
  'mqtt ports',
  'announcement',
]

async function labConfig() {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-start-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const environment = {
    SLUICE_DATA_DIR: path.join(folder, 'data'),
    SLUICE_RULES_DIR: path.join(folder, 'rules'),
    SLUICE_FUNCTIONS_DIR: path.join(folder, 'functions'),
    SLUICE_MQTT_PORT: '0',
    SLUICE_HTTP_PORT: '0',
    SLUICE_LAB_PORT: '0',
  }
  return loadConfig(environment, 'lab')
}

test('the stages of a start are these', async () => {
  const config = await labConfig()
  const logger = createMemoryLogger(() => undefined)
  const stages = createStages({ clock: systemClock })
  const names: string[] = []
  const noted: Stages = {
    ...stages,
    open(name, start, stop) {
      names.push(name)
      return stages.open(name, start, stop)
    },
  }
  const app = await startApp({ config, logger, clock: systemClock }, noted)
  await app.stop()
  expect(names).toEqual(stageNames)
})

test.each(stageNames)('a signal ends a start whose stage "%s" hangs', async (hanging) => {
  const config = await labConfig()
  const logger = createMemoryLogger(() => undefined)
  const stopping = new AbortController()
  const { signal } = stopping
  const stages = createStages({ clock: { ...systemClock, sleep: () => Promise.resolve() }, signal })
  const hung: Stages = {
    ...stages,
    open(name, start, stop) {
      if (name !== hanging) return stages.open(name, start, stop)
      setImmediate(() => stopping.abort())
      return stages.open(name, () => new Promise(() => undefined), stop)
    },
  }
  await expect(
    startApp({ config, logger, clock: systemClock, signal }, hung),
  ).rejects.toMatchObject({ name: 'AbortError' })

  // What had started is stopped: the folder is free again.
  const folder = await openDataFolder(config.dataDir, 'lab')
  folder.close()
})
