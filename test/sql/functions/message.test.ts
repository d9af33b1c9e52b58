import { describe, expect, test } from 'vitest'
import { valueOf } from './value.ts'

const mqtt5 = {
  contentType: 'application/json',
  payloadFormatIndicator: 1,
  responseTopic: 'replies/7',
  correlationData: Buffer.from([0, 255]),
  userProperties: [
    ['room', 'kitchen'],
    ['__proto__', 'data'],
    ['room', 'hall'],
    ['7', 'seven'],
  ],
} as const

describe('get_mqtt_property', () => {
  test.for([
    ["get_mqtt_property('content_type')", '"application/json"', ''],
    ["get_mqtt_property('response_topic')", '"replies/7"', ''],
    ["get_mqtt_property('correlation_data')", '"AP8="', ''],
    ["get_mqtt_property('format_indicator')", '"UTF8_DATA"', '"UNSPECIFIED_BYTES"'],
    ["get_mqtt_property('Content_Type')", '', ''],
    ["get_mqtt_property('constructor')", '', ''],
    ['get_mqtt_property(5)', '', ''],
    ['get_mqtt_property(nope)', '', ''],
    ['get_mqtt_property()', '', ''],
  ])('%s: %s, and without properties %j', ([expression = '', present, absent]) => {
    expect(valueOf(expression, { message: { mqtt5 } })).toBe(present)
    expect(valueOf(expression, { message: { mqtt5: {} } })).toBe(absent)
    expect(valueOf(expression)).toBe(absent)
  })

  test('an indicator of 0 is unspecified bytes', () => {
    const message = { mqtt5: { payloadFormatIndicator: 0 } } as const
    expect(valueOf("get_mqtt_property('format_indicator')", { message })).toBe(
      '"UNSPECIFIED_BYTES"',
    )
  })
})

describe('get_user_properties', () => {
  test.for([
    ["get_user_properties('room')", '["kitchen","hall"]', ''],
    ["get_user_properties('ROOM')", '', ''],
    ["get_user_properties('__proto__')", '["data"]', ''],
    ['get_user_properties(7)', '["seven"]', ''],
    ['get_user_properties(nope)', '', ''],
    ['get_user_properties(NULL)', '', ''],
    ["get(get_user_properties('room'), 0)", '"kitchen"', ''],
    ["get_user_properties('room', 1)", '', ''],
    [
      'get_user_properties()',
      '[{"room":"kitchen"},{"__proto__":"data"},{"room":"hall"},{"7":"seven"}]',
      '[]',
    ],
  ])('%s: %s, and without properties %j', ([expression = '', present, absent]) => {
    expect(valueOf(expression, { message: { mqtt5 } })).toBe(present)
    expect(valueOf(expression, { message: { mqtt5: {} } })).toBe(absent)
    expect(valueOf(expression)).toBe(absent)
  })
})
