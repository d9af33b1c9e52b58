// AWS IoT Device SDK for JavaScript, version 2, by MQTT 3.1.1: the native client of aws-crt.
const { auth, iot, iotshadow, mqtt } = require('aws-iot-device-sdk-v2')

const { port, certs, accessKeyId, secretKey, way } = JSON.parse(process.argv[2])
const builders = iot.AwsIotMqttConnectionConfigBuilder
const builder =
  way === 'certificate'
    ? builders.new_mtls_builder_from_path(
        `${certs}/devices/device.pem`,
        `${certs}/devices/device-key.pem`,
      )
    : builders.new_with_websockets({
        region: 'us-east-1',
        credentials_provider: auth.AwsCredentialsProvider.newStatic(accessKeyId, secretKey),
      })

async function main() {
  const config = builder
    .with_certificate_authority_from_path(undefined, `${certs}/ca.pem`)
    .with_endpoint('localhost')
    .with_port(port)
    .with_client_id(`v2-${way}`)
    .build()
  const connection = new mqtt.MqttClient().new_connection(config)
  connection.on('error', (error) => console.log('error', String(error)))
  await connection.connect()
  const { AtLeastOnce } = mqtt.QoS
  await new Promise((resolve) => {
    const got = (topic, payload) => {
      console.log('message', topic, Buffer.from(payload).toString())
      resolve()
    }
    connection
      .subscribe('sdk/v2', AtLeastOnce, got)
      .then(() => connection.publish('sdk/v2', '{"a":1}', AtLeastOnce))
  })
  const shadows = new iotshadow.IotShadowClient(connection)
  const accepted = new Promise((resolve) => {
    shadows
      .subscribeToUpdateShadowAccepted({ thingName: 'v2' }, AtLeastOnce, (_error, response) =>
        resolve(response),
      )
      .then(() =>
        shadows.publishUpdateShadow(
          { thingName: 'v2', clientToken: 't', state: { reported: { on: true } } },
          AtLeastOnce,
        ),
      )
  })
  const { state, clientToken } = await accepted
  console.log('shadow v2 accepted', JSON.stringify(state), clientToken)
  await connection.disconnect()
}

main().then(
  () => process.exit(0),
  (error) => {
    console.log('failed', String(error))
    process.exit(1)
  },
)
