import { onTestFinished } from 'vitest'
import path from 'node:path'
import { systemClock } from '../../../src/base/clock.ts'
import { startSluice, temporaryFolder } from '../../helpers/sluice-process.ts'

/** The region of engines and streams. */
export const region = 'us-east-1'

/** An engine of the cluster, as a process with a data folder of its own; it ends with the test. */
export async function startEngine(
  natsUrl: string,
  variables: Readonly<Record<string, string>> = {},
) {
  const folder = await temporaryFolder()
  const sluice = startSluice(['start'], {
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_NATS_URL: natsUrl,
    SLUICE_AUTH: 'off',
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: 'AKIASLUICE',
    AWS_SECRET_ACCESS_KEY: 'secret',
    ...variables,
  })
  const stop = async () => {
    sluice.kill('SIGKILL')
    await sluice.ended
  }
  onTestFinished(async () => {
    await stop()
    await folder.remove()
  })
  const { mqtt, http } = await sluice.ready()
  return {
    sluice,
    /** As a crash does. */
    stop,
    mqttUrl: `mqtt://127.0.0.1:${String(mqtt)}`,
    url: `http://127.0.0.1:${String(http)}`,
  }
}

/** What engines need for streams of a lab. */
export const callingLab = (endpoint: string) => ({
  AWS_ENDPOINT_URL_KINESIS: endpoint,
  AWS_ENDPOINT_URL_STS: endpoint,
})

/** @returns after how many milliseconds it was so */
export async function until(isSo: () => Promise<boolean> | boolean): Promise<number> {
  const startMs = systemClock.monotonicMs()
  while (!(await isSo())) await systemClock.sleep(lookEveryMs)
  return systemClock.monotonicMs() - startMs
}

const lookEveryMs = 20
