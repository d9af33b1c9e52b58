import { ruleFilterMatches, subscriptionMatches } from '../../topics/topic-filter.ts'

/**
 * Whose behaviour clients of either version see where AWS IoT Core narrows MQTT: AWS's own, or that
 * of the standard. docs/MQTT.md has the table.
 */
export type MqttProfile = 'aws' | 'open'

export interface Profile {
  readonly name: MqttProfile
  readonly maximumQos: 1 | 2
  /** Filters that one client may be subscribed to. */
  readonly subscriptionsMax: number
  /** Whether the topic filter of a client matches a topic. */
  readonly filterMatches: (filter: string, topic: string) => boolean
  /** Whether `a/#` matches `a`, [MQTT-4.7.1-2]. */
  readonly hashMatchesParent: boolean
  /** Whether a filter with wildcards gets retained messages. */
  readonly retainedByWildcard: boolean
  /** Unanswered messages of QoS 1 and 2 to one client of MQTT 5, whatever it takes. */
  readonly sendMaximum: number
  readonly hasSubscriptionIdentifiers: boolean
  /** Aliases that a client may use; 0 would be none. */
  readonly topicAliasMaximum: number
  /** Unanswered PUBLISHes of QoS 1 and 2 of one client. */
  readonly receiveMaximum: number
  /** The keep alive in force, in seconds. */
  readonly keepAlive: (askedSeconds: number) => number
  /** Whether CONNACK says the keep alive where it is the one that was asked for. */
  readonly alwaysTellsKeepAlive: boolean
  /** Whether client ids that begin with `$` are taken. */
  readonly takesDollarIds: boolean
  /** Whether clients may publish to topics that begin with `$` and are nobody's. */
  readonly takesDollarTopics: boolean
  /** The limits of message properties; undefined: the packet size alone. */
  readonly properties: PropertyLimits | undefined
}

interface PropertyLimits {
  readonly contentTypeBytesMax: number
  readonly correlationDataBytesMax: number
  readonly userPropertiesBytesMax: number
  readonly messageExpirySecondsMin: number
  readonly messageExpirySecondsMax: number
}

const receiveMaximum = 100

export const profiles: Readonly<Record<MqttProfile, Profile>> = Object.freeze({
  aws: Object.freeze({
    name: 'aws',
    maximumQos: 1,
    subscriptionsMax: 50,
    filterMatches: ruleFilterMatches,
    hashMatchesParent: false,
    retainedByWildcard: false,
    sendMaximum: 100,
    hasSubscriptionIdentifiers: false,
    topicAliasMaximum: 8,
    receiveMaximum,
    // AWS IoT, "Message broker and protocol limits": 30 to 1,200 seconds, and 0 is 1,200.
    keepAlive: (askedSeconds: number) =>
      askedSeconds === 0 ? 1_200 : Math.min(Math.max(askedSeconds, 30), 1_200),
    alwaysTellsKeepAlive: true,
    takesDollarIds: false,
    takesDollarTopics: false,
    properties: Object.freeze({
      contentTypeBytesMax: 256,
      correlationDataBytesMax: 8_192,
      userPropertiesBytesMax: 8_192,
      messageExpirySecondsMin: 1,
      messageExpirySecondsMax: 604_800,
    }),
  }),
  open: Object.freeze({
    name: 'open',
    maximumQos: 2,
    subscriptionsMax: 100,
    filterMatches: subscriptionMatches,
    hashMatchesParent: true,
    retainedByWildcard: true,
    sendMaximum: 65_535,
    hasSubscriptionIdentifiers: true,
    topicAliasMaximum: 64,
    receiveMaximum,
    keepAlive: (askedSeconds: number) => askedSeconds,
    alwaysTellsKeepAlive: false,
    takesDollarIds: true,
    takesDollarTopics: true,
    properties: undefined,
  }),
})

/**
 * What AWS IoT Core does about something that the profile `open` takes.
 *
 * @param does a verb and its object: `answers 0x9B`
 */
export const asOnAws = (what: string, does: string): string =>
  `${what}: AWS IoT Core ${does}; SLUICE_MQTT_PROFILE=open takes it`

/** What a packet may hold beside a payload: AWS takes 146 KiB in all, and 128 KiB of payload. */
const packetOverheadBytesMax = 18 * 1024

/** The Maximum Packet Size of the broker, in bytes. */
export const maximumPacketSize = (payloadBytesMax: number): number =>
  payloadBytesMax + packetOverheadBytesMax
