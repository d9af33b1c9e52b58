import path from 'node:path'
import { connectAsync } from 'mqtt'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { systemClock } from '../../src/base/clock.ts'
import { loadConfig } from '../../src/config/config.ts'
import { createLogger } from '../../src/telemetry/telemetry.ts'
import { temporaryFolder } from '../helpers/sluice-process.ts'

const roleArn = 'arn:aws:iam::000000000000:role/republish'
const topicRulePayload = {
  sql: "SELECT * FROM 'in'",
  awsIotSqlVersion: '2016-03-23',
  actions: [{ republish: { roleArn, topic: 'out' } }],
}

async function startLab(payloadBytesMax: number) {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const environment = {
    SLUICE_MQTT_PAYLOAD_BYTES_MAX: String(payloadBytesMax),
    SLUICE_MQTT_PORT: '0',
    SLUICE_HTTP_PORT: '0',
    SLUICE_LAB_PORT: '0',
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
  }
  const logger = await createLogger('silent', { pretty: false })
  const config = loadConfig(environment, 'lab')
  const app = await startApp({ config, logger, clock: systemClock })
  onTestFinished(() => app.stop())
  return { url: `http://127.0.0.1:${app.ports.http}`, mqttPort: app.ports.mqtt }
}

async function post(url: string, body: string) {
  const answer = await fetch(url, { method: 'POST', body })
  return { status: answer.status, text: await answer.text() }
}

test.each([1_000, 300_000, 1_048_576])(
  'a payload of %i bytes that MQTT takes is taken, published and tried over HTTP as well',
  async (payloadBytesMax) => {
    const { url, mqttPort } = await startLab(payloadBytesMax)
    expect(await post(`${url}/rules/r`, JSON.stringify(topicRulePayload))).toMatchObject({
      status: 200,
    })
    const subscriber = await connectAsync({ port: mqttPort, protocolVersion: 4 })
    onTestFinished(() => subscriber.endAsync())
    await subscriber.subscribeAsync('out')
    const republished = new Promise<number>((resolve) => {
      subscriber.on('message', (_, payload) => resolve(payload.length))
    })
    // As JSON, this text is as long as the limit.
    const most = 'x'.repeat(payloadBytesMax - 2)
    expect(await post(`${url}/topics/in?qos=1`, JSON.stringify(most))).toMatchObject({
      status: 200,
    })
    expect(await republished).toBe(payloadBytesMax)
    const asked = (payload: string) =>
      post(
        `${url}/v1/evaluate`,
        JSON.stringify({ topicRulePayload, message: { topic: 'in', payload } }),
      )
    expect((await asked(most)).status).toBe(200)
    expect(await asked(`${most}x`)).toMatchObject({
      status: 400,
      text: expect.stringContaining(`at most ${payloadBytesMax} are taken`) as string,
    })
  },
)

test.each([1_001, 131_073, 2_000_000])(
  'a publish of %i bytes over HTTP, where 1,000 are allowed, is a bad request',
  async (bytes) => {
    const { url } = await startLab(1_000)
    const answer = await fetch(`${url}/topics/in`, { method: 'POST', body: 'x'.repeat(bytes) })
    expect([answer.status, answer.headers.get('x-amzn-errortype')]).toEqual([
      400,
      'InvalidRequestException',
    ])
  },
)
