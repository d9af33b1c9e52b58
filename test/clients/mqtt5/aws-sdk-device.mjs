/** A device that speaks MQTT 5 with AWS's device SDK 2: prints one line of JSON. */
import sdk from 'aws-iot-device-sdk-v2'

const { mqtt5 } = sdk
const client = new mqtt5.Mqtt5Client({
  hostName: '127.0.0.1',
  port: Number(process.argv[2]),
  connectProperties: { clientId: 'aws-sdk', keepAliveIntervalSeconds: 1_200 },
})
const once = (name) => new Promise((resolve) => client.once(name, resolve))
client.on('connectionFailure', ({ error }) => {
  console.error(error.toString())
  process.exit(1)
})
const connected = once('connectionSuccess')
const arrived = once('messageReceived')
client.start()
const { settings } = await connected
const subscriptions = [{ topicFilter: 'aws-sdk/+', qos: mqtt5.QoS.AtLeastOnce }]
const suback = await client.subscribe({ subscriptions })
const puback = await client.publish({
  topicName: 'aws-sdk/1',
  qos: mqtt5.QoS.AtLeastOnce,
  payload: 'hello',
  contentType: 'text/plain',
  userProperties: [
    { name: 'b', value: '1' },
    { name: 'a', value: '2' },
    { name: 'b', value: '3' },
  ],
})
const { message } = await arrived
const refused = await client.publish({
  topicName: '$reserved',
  qos: mqtt5.QoS.AtLeastOnce,
  payload: 'x',
})
const stopped = once('stopped')
client.stop()
await stopped
console.log(
  JSON.stringify({
    settings,
    suback: suback.reasonCodes,
    puback: puback.reasonCode,
    payload: Buffer.from(message.payload).toString(),
    contentType: message.contentType,
    userProperties: message.userProperties.map(({ name, value }) => [name, value]),
    refused: refused.reasonCode,
  }),
)
client.close()
// The native library may keep its threads.
process.exit(0)
