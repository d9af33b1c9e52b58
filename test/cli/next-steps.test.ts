import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { RuleExample } from '../../src/app/app.ts'
import { nextSteps } from '../../src/cli/next-steps.ts'
import { loadConfig } from '../../src/config/config.ts'
import { makeCertificateFolder } from '../../src/identity/certificates/certificate-folder.ts'
import { setPassword } from '../../src/identity/passwords/password-file.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { temporaryFolder } from '../identity/identity-fixtures.ts'

const sample: RuleExample = { topicFilter: 'dt/+/telemetry', streamName: 'hot-devices' }
const ports = { mqtt: 1883, mqtts: 8883, http: 8080, kinesis: 4567 }
const allowAll = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'iot:*', Resource: '*' }],
}
const own = {
  Version: '2012-10-17',
  Statement: [
    { Effect: 'Allow', Action: 'iot:Connect', Resource: '*' },
    {
      Effect: 'Allow',
      Action: 'iot:Publish',
      Resource: 'arn:aws:iot:*:*:topic/dt/${iot:Certificate.Subject.CommonName}/*',
    },
  ],
}

/** A folder as `sluice certs`, `passwd` and `policies` lay it, and what a lab in it suggests. */
async function createLab() {
  const folder = await temporaryFolder()
  const inFolder = (name: string) => path.join(folder, name)
  return {
    async certificates(...names: readonly string[]) {
      const { devices } = await makeCertificateFolder({
        directory: inFolder('certs'),
        devices: names,
        hosts: [],
        force: false,
        nowMs: Date.now(),
      })
      return devices.map(({ principal }) => principal)
    },
    async user(user: string) {
      const cost = { logN: 14, r: 8, p: 1 }
      await setPassword(inFolder('passwords'), { user, password: 'x', cost })
    },
    async policy(document: object, targets: readonly string[]) {
      await mkdir(inFolder('policies'), { recursive: true })
      await writeFile(inFolder('policies/p.json'), JSON.stringify(document))
      await writeFile(inFolder('policies/p.meta.json'), JSON.stringify({ targets }))
    },
    tls: {
      SLUICE_TLS_CERT_FILE: inFolder('certs/server.pem'),
      SLUICE_TLS_KEY_FILE: inFolder('certs/server-key.pem'),
      SLUICE_TLS_CA_FILE: inFolder('certs/ca.pem'),
    },
    passwords: { SLUICE_PASSWORD_FILE: inFolder('passwords') },
    async steps(
      environment: Record<string, string> = {},
      given: Partial<typeof ports> = {},
      example: RuleExample | undefined = sample,
    ) {
      const config = loadConfig(
        { SLUICE_POLICIES_DIR: inFolder('policies'), ...environment },
        'lab',
      )
      const text = await nextSteps(createTestHost(), { ...ports, ...given }, config, example)
      const [, , publish = '', list = '', tail = ''] = text.split('\n')
      return {
        publish: publish.trim().replaceAll(folder, '.'),
        list: list.trim(),
        tail: tail.trim(),
      }
    },
  }
}

const message = `-m '{"temp": 61.5}'`
const anonymous = `npx sluice pub -t dt/7/telemetry ${message}`
const certificateOf = (name: string) =>
  `--ca ./certs/ca.pem --cert ./certs/devices/${name}.pem --key ./certs/devices/${name}-key.pem`

describe('"Try it" of a lab', () => {
  test('as it comes', async () => {
    const lab = await createLab()
    expect(await lab.steps()).toEqual({
      publish: anonymous,
      list: 'curl http://127.0.0.1:8080/rules',
      tail: 'npx sluice tail hot-devices',
    })
  })

  test.each([
    ['sensors/+/data', 'dev-readings', 'sensors/7/data', 'dev-readings'],
    ["it's/+/a/#", undefined, "'it'\\''s/7/a/7'", '--calls'],
  ])('tries a rule of a template on %s', async (topicFilter, streamName, topic, tail) => {
    const lab = await createLab()
    expect(await lab.steps({}, {}, { topicFilter, streamName })).toMatchObject({
      publish: `npx sluice pub -t ${topic} ${message}`,
      tail: `npx sluice tail ${tail}`,
    })
  })

  test('names ports and addresses that are not the usual ones', async () => {
    const lab = await createLab()
    const given = { SLUICE_MQTT_HOST: '::1' }
    expect(await lab.steps(given, { mqtt: 2883, http: 9000 })).toMatchObject({
      publish: `npx sluice pub --host ::1 -p 2883 -t dt/7/telemetry ${message}`,
      list: 'curl http://127.0.0.1:9000/rules',
    })
  })

  test('with policies for the device that one is attached to', async () => {
    const lab = await createLab()
    const [, second = ''] = await lab.certificates('sensor-1', 'sensor-2')
    await lab.policy(own, [`cert:${second}`])
    const { publish, list } = await lab.steps(lab.tls)
    expect(publish).toBe(
      `npx sluice pub ${certificateOf('sensor-2')} -i sensor-2 -t dt/sensor-2/telemetry ${message}`,
    )
    expect(list).toMatch(/^curl --cacert \S+\/certs\/ca\.pem https:\/\/127\.0\.0\.1:8080\/rules$/)
  })

  test('with TLS and no policies in the clear, as long as that is open', async () => {
    const lab = await createLab()
    await lab.certificates('d')
    expect((await lab.steps(lab.tls)).publish).toBe(anonymous)
    const closed = { ...lab.tls, SLUICE_MQTT_ANONYMOUS: 'off' }
    expect((await lab.steps(closed)).publish).toBe(
      `npx sluice pub ${certificateOf('d')} -i d -t dt/d/telemetry ${message}`,
    )
  })

  test('with a policy that allows anonymous clients', async () => {
    const lab = await createLab()
    await lab.policy(allowAll, ['anonymous'])
    expect((await lab.steps()).publish).toBe(anonymous)
  })

  test('with passwords for a user', async () => {
    const lab = await createLab()
    await lab.user('u')
    const { publish } = await lab.steps({ ...lab.passwords, SLUICE_MQTT_ANONYMOUS: 'off' })
    expect(publish).toBe(`npx sluice pub -u u -P '<its password>' -t dt/7/telemetry ${message}`)
  })

  test('says so where no policy lets anybody publish', async () => {
    const lab = await createLab()
    await lab.policy(own, [])
    expect((await lab.steps()).publish).toMatch(/^npx sluice policies list {2}# no policy lets/)
  })

  test('with signed requests', async () => {
    const lab = await createLab()
    expect((await lab.steps({ SLUICE_AUTH: 'sigv4' })).list).toBe(
      'aws iot list-topic-rules --region us-east-1 --endpoint-url http://127.0.0.1:8080',
    )
  })
})
