import mqttPacket from 'mqtt-packet'
import type { IConnectPacket, IPublishPacket, Packet } from 'mqtt-packet'

/** Packets of MQTT 3.1.1, for tests and for the processes that they start. */
export const encode = (packet: Packet): Buffer => mqttPacket.generate(packet)

export const connectPacket = (overrides: Partial<IConnectPacket> = {}): IConnectPacket => ({
  cmd: 'connect',
  protocolId: 'MQTT',
  protocolVersion: 4,
  clean: true,
  clientId: 'raw',
  keepalive: 60,
  ...overrides,
})

export const publishPacket = (overrides: Partial<IPublishPacket> = {}): IPublishPacket => ({
  cmd: 'publish',
  topic: 'a/b',
  payload: 'x',
  qos: 1,
  dup: false,
  retain: false,
  messageId: 1,
  ...overrides,
})
