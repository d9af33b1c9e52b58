// AWS IoT Device SDK for JavaScript, version 1: publishes, gets it back, and updates a shadow.
const { thingShadow } = require('aws-iot-device-sdk')

const { port, certs, accessKeyId, secretKey, way } = JSON.parse(process.argv[2])
const common = { host: 'localhost', port, clientId: `v1-${way}`, caPath: `${certs}/ca.pem` }
const options =
  way === 'certificate'
    ? {
        ...common,
        keyPath: `${certs}/devices/device-key.pem`,
        certPath: `${certs}/devices/device.pem`,
      }
    : {
        ...common,
        protocol: 'wss',
        region: 'us-east-1',
        accessKeyId,
        secretKey,
        websocketOptions: { rejectUnauthorized: false },
      }

const device = thingShadow(options)
device.on('error', (error) => console.log('error', error.message))
device.on('close', () => console.log('closed'))
device.on('connect', () => {
  device.subscribe('sdk/v1', { qos: 1 }, () => device.publish('sdk/v1', '{"a":1}', { qos: 1 }))
})
device.on('message', (topic, payload) => {
  console.log('message', topic, payload.toString())
  device.register('v1', {}, () => device.update('v1', { state: { reported: { on: true } } }))
})
device.on('status', (thing, status, token, document) => {
  console.log('shadow', thing, status, JSON.stringify(document.state))
  device.end(true, () => process.exit(0))
})
